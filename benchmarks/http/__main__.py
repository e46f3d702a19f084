"""Compares ways to route requests and to send them, within the real services.

    python -m benchmarks.http [--rounds 3] [--slices 20] [--json FILE]

- routing: `POST /v1/messages` of ingest, and `POST /v1/search` of the retriever;
- client: `POST /v1/search` with new queries (a request to the embeddings server and one to Qdrant), many at a time
  and one at a time, and with queries whose vectors are cached (a request to Qdrant).

Each figure is the CPU time of the service's process for a whole request. Every round starts a new process of each
contender, and sends requests to one after the other for a fraction of a second, many times, in a new random order each
time, so that other load on the machine affects all of them equally.
"""

import argparse
import asyncio
import json
import sys
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from random import Random

from benchmarks.backlog import Messages
from benchmarks.command import carry_out, say, shared_options
from benchmarks.http_client import HttpClient
from benchmarks.ingest.load import connection
from benchmarks.premises import Provider
from benchmarks.record import Record
from benchmarks.retriever.asking import Questions, in_turn
from benchmarks.site import Failed, Site, opened
from memstream.local.stack.ports import free_base

_NOT_MEASURED = ["TLS, a network between the parts", "several processes of a service"]
_ROUTINGS = ("fastapi", "starlette", "fast-path")
_CLIENTS = ("transport", "aiohttp", "httpx")
_INGEST, _RETRIEVER = "ingest-1", "retriever-1"
_CONNECTIONS = 32
_KNOWN = 100
_USERS = 10
_READY_SECONDS = 300.0
_SLICE_SECONDS = 0.4
_WARM_UP_SLICES = 2

Load = Callable[[str], Awaitable[int]]
"""Sends requests to a part for a slice, and returns how many were answered."""


async def measure(chosen: argparse.Namespace, record: Record) -> None:
    """Fill a site, then measure all comparisons in each round."""
    async with opened(Provider(), first_port=chosen.first_port) as site:
        await site.start("redis", "qdrant", "provider")
        await site.start("keys")
        await site.start(_INGEST, "embedder-1")
        await _fill(site, chosen)
        await site.kill(_INGEST)
        await site.kill("embedder-1")
        bench = _Bench(site, chosen, record)
        for number in range(1, chosen.rounds + 1):
            say(f"round {number} of {chosen.rounds}")
            await bench.compare("routing", _INGEST, {name: (name, _CLIENTS[0]) for name in _ROUTINGS})
            await bench.compare("routing", _RETRIEVER, {name: (name, _CLIENTS[0]) for name in _ROUTINGS})
            await bench.compare("client", _RETRIEVER, {name: (_ROUTINGS[0], name) for name in _CLIENTS})


async def _fill(site: Site, chosen: argparse.Namespace) -> None:
    messages = Messages(chosen.seed, users=_USERS)
    client = HttpClient(site.plan.ingest_url, site.keys.api_key)
    batch = [
        {"user_id": messages.user(number), "message_id": f"m-{number}", "text": messages.text(number)}
        for number in range(chosen.messages)
    ]
    for start in range(0, len(batch), _KNOWN):
        await client.post("/v1/messages/batch", json.dumps({"messages": batch[start : start + _KNOWN]}).encode())
    client.close()
    async with asyncio.timeout(_READY_SECONDS):
        while await site.points() < len(batch):
            site.require_alive()
            await asyncio.sleep(0.2)
    say(f"{len(batch)} messages are stored")


class _Bench:
    """The comparisons on a filled site."""

    def __init__(self, site: Site, chosen: argparse.Namespace, record: Record) -> None:
        self._site = site
        self._chosen = chosen
        self._record = record
        self._rng = Random(chosen.seed)  # noqa: S311 - nothing secret is made from it
        self._questions = Questions(chosen.seed, _USERS)
        self._known = [self._questions.body(number) for number in range(_KNOWN)]
        self._next = _KNOWN

    async def compare(self, kind: str, like: str, contenders: dict[str, tuple[str, str]]) -> None:
        """Start all contenders of a service, each with its routing and its client, and measure them in turn."""
        service = like.partition("-")[0]
        port = free_base(len(contenders), first=self._chosen.first_port + 100)
        for number, (name, (routing, client)) in enumerate(contenders.items()):
            argv = (sys.executable, "-m", "benchmarks.http.contender", service, routing, client)
            self._site.add(name, like, port + number, *argv)
            await self._site.start(name)
        for title, load in self._loads(service, kind).items():
            spent: defaultdict[str, float] = defaultdict(float)
            answered: defaultdict[str, int] = defaultdict(int)
            for number in range(_WARM_UP_SLICES + self._chosen.slices):
                for name in self._rng.sample(list(contenders), len(contenders)):
                    before = _cpu_seconds(self._site.process(name))
                    count = await load(name)
                    if number >= _WARM_UP_SLICES:
                        spent[name] += _cpu_seconds(self._site.process(name)) - before
                        answered[name] += count
            for name in contenders:
                self._record.add(f"{kind}, {title}, {name}, CPU per request", "us", 1e6 * spent[name] / answered[name])
        for name in contenders:
            await self._site.kill(name)

    def _loads(self, service: str, kind: str) -> dict[str, Load]:
        if service == "ingest":
            return {"message": self._post}
        loads: dict[str, Load] = {"new questions": lambda name: self._ask(name, _CONNECTIONS, self._questions.body)}
        if kind == "client":
            loads["new questions, one at a time"] = lambda name: self._ask(name, 1, self._questions.body)
            loads["remembered questions"] = lambda name: self._ask(
                name, _CONNECTIONS, lambda number: self._known[number % _KNOWN]
            )
        return loads

    async def _post(self, name: str) -> int:
        """Post single messages for a slice."""
        end = time.perf_counter() + _SLICE_SECONDS
        url, key = self._site.url_of(name), self._site.keys.api_key
        return sum(await asyncio.gather(*(connection(n, url, key, end, 1) for n in range(_CONNECTIONS))))

    async def _ask(self, name: str, at_once: int, body: Callable[[int], bytes]) -> int:
        """Search for a slice."""
        client = HttpClient(self._site.url_of(name), self._site.keys.api_key)
        self._next += 10_000
        outcome = await in_turn(client, body, at_once, _SLICE_SECONDS, self._next)
        client.close()
        if outcome.failed or not outcome.took:
            raise Failed(f"{dict(outcome.failed)}: {self._site.log(name)}")
        return len(outcome.took)


def _cpu_seconds(process: int) -> float:
    """Return the CPU time of all threads of a process, with a resolution of nanoseconds instead of ticks of 10 ms."""
    threads = Path(f"/proc/{process}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark with the options of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.http",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[shared_options(rounds=3, within=3600.0)],
    )
    parser.add_argument("--messages", type=int, default=500, help="messages stored beforehand [%(default)d]")
    parser.add_argument("--slices", type=int, default=20, help="slices of each contender per round [%(default)d]")
    carry_out("http", _NOT_MEASURED, measure, parser.parse_args(arguments))


if __name__ == "__main__":
    main()
