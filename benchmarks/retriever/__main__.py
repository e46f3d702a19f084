"""Measures the retriever's own share of a search, with MiniLM on this machine.

    python -m benchmarks.retriever [--rounds 3] [--seconds 20] [--json FILE]

- own time: at a steady rate of new questions, the time from question to answer, less the time of its requests to the
  embeddings server and to Qdrant, as measured by a relay in front of each. So the time of the sender and of the relays,
  and all waiting for a core, counts as the retriever's own. For comparison, the same time is measured for a handler on
  the same HTTP server that calls the same two servers through the same HTTP transport and returns Qdrant's answer;
- throughput with cached vectors, compared with a handler on the same HTTP server that forwards the same queries to
  Qdrant through the same HTTP transport and returns the bytes;
- 32 new questions at a time compared with one at a time, with MiniLM, which shares the cores with all other processes,
  and with a provider that is as slow as one on the internet and uses no cores;
- 1,000 concurrent searches: each is answered with 200, or with 503 and Retry-After.

With the rates comes the CPU time per answer, which hardly depends on other load on the machine.
"""

import argparse
import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import httpx
import psutil

from benchmarks.backlog import Messages
from benchmarks.command import carry_out, say, shared_options
from benchmarks.http_client import HttpClient
from benchmarks.premises import Provider
from benchmarks.record import Record
from benchmarks.retriever.asking import CANDIDATES, TENANT, Outcome, Questions, all_at_once, at_rate, in_turn, space_of
from benchmarks.retriever.forwarding import forwarding
from benchmarks.retriever.relay import Relay, relaying
from benchmarks.site import Failed, Site, Usage, opened
from memstream.local.stack.plan import FIXED_PORTS
from memstream.local.stack.ports import free_base
from memstream.runtime.clock import SystemClock
from memstream.vectors.embeddings.openai import OpenAIEmbeddings
from memstream.vectors.space import Vectors
from memstream.vectors.store import CandidateQuery, Expiry, owner_of
from memstream.vectors.store.qdrant.keyword_spaces import ANY_SCRIPT
from memstream.vectors.store.qdrant.queries import queries_for
from memstream.vectors.store.qdrant.scored_queries import batch_body

_NOT_MEASURED = [
    "a network between the parts, TLS",
    "parts on separate machines: sender, relays, services and servers share the cores",
    "several retrievers",
    "long messages: each is one chunk",
]
_RETRIEVER = "retriever-1"
_AT_ONCE = 32
_KNOWN = 200
"""Different questions whose vectors are cached."""
_CROWD = 1_000
_POSTED_AT_ONCE = 250
_READY_SECONDS = 300.0
_MIB = 2**20
_UNBOUND: Mapping[int, float] = MappingProxyType({})


async def measure(chosen: argparse.Namespace, record: Record) -> None:
    """Fill a site, then measure everything in each round."""
    async with relaying() as embeddings, relaying() as qdrant:
        urls = {
            "qdrant_url": f"http://127.0.0.1:{qdrant.port}",
            "embeddings_url": f"http://127.0.0.1:{embeddings.port}/v1",
        }
        async with opened(None, first_port=chosen.first_port, retriever=urls) as site:
            embeddings.target, qdrant.target = (
                httpx.URL(url).port or 0 for url in (site.plan.embeddings_url, site.plan.qdrant_url)
            )
            await site.start("redis", "qdrant", "embeddings")
            await site.start("keys")
            await site.start("ingest-1", "embedder-1", _RETRIEVER)
            await _fill(site, chosen)
            bench = _Bench(site, chosen, record, embeddings, qdrant)
            for number in range(1, chosen.rounds + 1):
                say(f"round {number} of {chosen.rounds}")
                await bench.own_time()
                await bench.restart(direct=True)
                await bench.throughput()
                await bench.together()
                await bench.crowd()
                await bench.restart(direct=False)
    provider = Provider(latency=chosen.provider_latency)
    async with opened(provider, first_port=chosen.first_port) as site:
        await site.start("redis", "qdrant", "provider")
        await site.start("keys")
        await site.start("ingest-1", "embedder-1", _RETRIEVER)
        await _fill(site, chosen)
        bench = _Bench(site, chosen, record)
        for number in range(1, chosen.rounds + 1):
            say(f"round {number} of {chosen.rounds}, with a provider that takes {provider.latency:g} s")
            await bench.together(f", provider of {1000 * provider.latency:g} ms")


async def _fill(site: Site, chosen: argparse.Namespace) -> None:
    messages = Messages(chosen.seed, users=chosen.users)
    count = chosen.users * chosen.messages
    client = HttpClient(site.plan.ingest_url, site.keys.api_key)
    for start in range(0, count, _POSTED_AT_ONCE):
        batch = [
            {
                "user_id": messages.user(number),
                "message_id": f"m-{number}",
                "text": messages.text(number),
                "conversation_id": f"c-{number // chosen.users // 20}",
            }
            for number in range(start, min(count, start + _POSTED_AT_ONCE))
        ]
        await client.post("/v1/messages/batch", json.dumps({"messages": batch}).encode())
    client.close()
    say(f"{count} messages are posted")
    async with asyncio.timeout(_READY_SECONDS):
        while await site.points() < count:
            site.require_alive()
            await asyncio.sleep(0.5)
    say("and stored")


class _Bench:
    """The measurements on a filled site."""

    def __init__(self, site: Site, chosen: argparse.Namespace, record: Record, *relays: Relay) -> None:
        """Make the measurements; `relays` are in front of the embeddings server and of Qdrant, if there are any."""
        self._site = site
        self._chosen = chosen
        self._record = record
        self._relays = relays
        self._questions = Questions(chosen.seed, chosen.users)
        self._next = 1_000
        self._client = HttpClient(site.plan.retriever_url, site.keys.api_key)

    async def restart(self, *, direct: bool) -> None:
        """Restart the retriever, with or without the relays."""
        self._client.close()
        await self._site.kill(_RETRIEVER)
        embeddings, qdrant = self._relays
        plan = self._site.plan
        self._site.reset(
            _RETRIEVER,
            qdrant_url=plan.qdrant_url if direct else f"http://127.0.0.1:{qdrant.port}",
            embeddings_url=plan.embeddings_url if direct else f"http://127.0.0.1:{embeddings.port}/v1",
        )
        await self._site.start(_RETRIEVER)
        self._client = HttpClient(plan.retriever_url, self._site.keys.api_key)

    def _free_port(self) -> int:
        return free_base(1, first=self._chosen.first_port + 10 * FIXED_PORTS)

    def _fresh(self) -> int:
        """Return the first number of questions that were not asked yet."""
        self._next += 1_000_000
        return self._next

    async def own_time(self) -> None:
        """Search at a steady rate, through the relays: a handler that only forwards, and the retriever."""
        embeddings, qdrant = (f"http://127.0.0.1:{relay.port}" for relay in self._relays)
        async with forwarding(
            self._free_port(), self._site.secrets, qdrant, f"{embeddings}/v1", self._site.plan.model
        ) as (forwarder, _):
            _, outcome = await self._steadily(forwarder)
            self._spread("a forwarder's own time", self._apart(outcome)[0])
            before, outcome = await self._steadily(self._client)
            own, there = self._apart(outcome)
            self._spread("own time", own, {50: 2.0, 99: 10.0})
            self._spread("of embeddings server and Qdrant", there)
            self._cost(before, len(outcome.took), self._at_rate)

    @property
    def _at_rate(self) -> str:
        return f"at {self._chosen.rate:g} searches/s"

    async def _steadily(self, client: HttpClient) -> tuple[Mapping[str, Usage], Outcome]:
        """Search for new questions at a steady rate; return the usage before the counted ones, and their outcome."""
        chosen = self._chosen
        await at_rate(client, self._questions.body, chosen.rate, chosen.warm_up, self._fresh())
        before = self._site.usage()
        outcome = await at_rate(client, self._questions.body, chosen.rate, chosen.seconds, self._fresh())
        self._require(outcome)
        return before, outcome

    def _apart(self, outcome: Outcome) -> tuple[list[float], list[float]]:
        """Return the milliseconds of each question: of the server that answered it, and behind the relays."""
        for relay in self._relays:
            relay.settle()
        there = {number: sum(relay.seconds[number] for relay in self._relays) for number in outcome.took}
        own = [1000 * (took - there[number]) for number, took in outcome.took.items()]
        return own, [1000 * seconds for seconds in there.values()]

    def _spread(self, title: str, milliseconds: Sequence[float], bounds: Mapping[int, float] = _UNBOUND) -> None:
        for percent in (50, 99):
            bound = {"at_most": bounds[percent]} if percent in bounds else {}
            name = f"{title}, p{percent}, {self._at_rate}"
            self._record.add(name, "ms", _percentile(milliseconds, percent), **bound)

    async def throughput(self) -> None:
        """Search for cached questions as fast as they are answered, and the same through the forwarder."""
        known = [self._questions.body(number) for number in range(_KNOWN)]
        await all_at_once(self._client, known)
        queries = await self._queries()
        async with forwarding(self._free_port(), self._site.secrets, self._site.plan.qdrant_url) as (bare, process):
            rates, costs = {}, {}
            for name, client, bodies in (("forwarder", bare, queries), ("retriever", self._client, known)):
                await in_turn(client, _cycle(bodies), _AT_ONCE, self._chosen.warm_up, 0)
                begun = _spent(process)
                before = self._site.usage()
                outcome = await in_turn(client, _cycle(bodies), _AT_ONCE, self._chosen.seconds, 0)
                self._require(outcome)
                rates[name] = outcome.rate
                own = process if name == "forwarder" else None
                costs[name] = (
                    1e6 * (_spent(own) - begun) / len(outcome.took) if own else self._cpu_us(before, len(outcome.took))
                )
                alone = await in_turn(client, _cycle(bodies), 1, self._chosen.seconds / 2, 0)
                self._record.add(f"{name}, cached questions, one at a time, p50", "ms", _percentile(_ms(alone), 50))
        for name, rate in rates.items():
            self._record.add(f"{name}, cached questions, {_AT_ONCE} at a time", "/s", rate)
            self._record.add(f"{name}, CPU of the process per answer", "us", costs[name])
        ratio = rates["retriever"] / rates["forwarder"]
        self._record.add("retriever / forwarder, cached questions", "ratio", ratio, at_least=0.6)

    async def _queries(self) -> list[bytes]:
        """Return the retriever's queries to Qdrant for its cached questions."""
        space = space_of(self._site.plan.model)
        key = self._site.secrets.embeddings_api_key
        api = OpenAIEmbeddings(space, url=self._site.plan.embeddings_url, api_key=key, timeout=60)
        texts = [self._questions.text(number) for number in range(_KNOWN)]
        vectors = (await api.embed(texts, "query")).vectors
        await api.aclose()
        expiry = Expiry(SystemClock().now())
        return [
            batch_body(
                list(queries_for(self._question(number, text, vectors[number]), expiry, space.vector_name, ANY_SCRIPT))
            )
            for number, text in enumerate(texts)
        ]

    def _question(self, number: int, text: str, vector: Vectors) -> CandidateQuery:
        return CandidateQuery(owner_of(TENANT, self._questions.user(number)), vector, text, CANDIDATES)

    async def together(self, said: str = "") -> None:
        """Search for new questions one at a time, and 32 at a time; `said` names the provider."""
        rates = {}
        for at_once in (1, _AT_ONCE):
            await in_turn(self._client, self._questions.body, at_once, self._chosen.warm_up, self._fresh())
            before = self._site.usage()
            outcome = await in_turn(self._client, self._questions.body, at_once, self._chosen.seconds, self._fresh())
            self._require(outcome)
            rates[at_once] = outcome.rate
            name = f"new questions, {at_once} at a time{said}"
            self._record.add(name, "/s", outcome.rate)
            self._cost(before, len(outcome.took), name)
        self._record.add(
            f"{_AT_ONCE} new questions at a time / one at a time{said}",
            "ratio",
            rates[_AT_ONCE] / rates[1],
            at_least=3.0,
        )

    async def crowd(self) -> None:
        """Send a thousand searches at once, and one by one after that."""
        first = self._fresh()
        before = self._site.usage()[_RETRIEVER]
        outcome = await all_at_once(self._client, [self._questions.body(first + n) for n in range(_CROWD)])
        after = self._site.usage()[_RETRIEVER]
        later = await in_turn(self._client, self._questions.body, 1, 1.0, self._fresh())
        refused = outcome.failed.pop("503", 0)
        name = f"{_CROWD:,} at once"
        self._record.add(f"{name}, answered with 200", "", len(outcome.took), at_least=1)
        self._record.add(f"{name}, answered with 503 and Retry-After", "", refused)
        self._record.add(f"{name}, anything else", "", sum(outcome.failed.values()), at_most=0)
        for percent in (50, 99):
            self._record.add(f"{name}, answered with 200, p{percent}", "ms", _percentile(_ms(outcome), percent))
        self._record.add("memory of the retriever before the 1,000", "MiB", before.resident_bytes / _MIB)
        self._record.add("memory of the retriever after the 1,000", "MiB", after.resident_bytes / _MIB)
        self._record.add("failed right after the 1,000", "", sum(later.failed.values()), at_most=0)

    def _require(self, outcome: Outcome) -> None:
        self._site.require_alive()
        if outcome.failed or not outcome.took:
            raise Failed(f"{len(outcome.took)} were answered, {dict(outcome.failed)} not: {self._site.log(_RETRIEVER)}")

    def _cpu_us(self, before: Mapping[str, Usage], answers: int, part: str = _RETRIEVER) -> float:
        spent = self._site.usage()[part].cpu_seconds - before[part].cpu_seconds
        return float(1e6 * spent / answers)

    def _cost(self, before: Mapping[str, Usage], answers: int, name: str) -> None:
        for part in sorted({_RETRIEVER, "qdrant", "embeddings"}.intersection(before)):
            self._record.add(f"CPU of {part} per answer, {name}", "us", self._cpu_us(before, answers, part))


def _cycle(bodies: Sequence[bytes]) -> Callable[[int], bytes]:
    return lambda number: bodies[number % len(bodies)]


def _ms(outcome: Outcome) -> list[float]:
    return [1000 * seconds for seconds in outcome.took.values()]


def _percentile(values: Sequence[float], percent: int) -> float:
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, len(ranked) * percent // 100)] if ranked else 0.0


def _spent(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def main() -> None:
    """Run the benchmark with the options of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.retriever",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[shared_options(rounds=3, within=3600.0)],
    )
    parser.add_argument("--rate", type=float, default=50.0, help="searches per second for the own time [%(default)g]")
    parser.add_argument("--users", type=int, default=10)
    parser.add_argument("--messages", type=int, default=250, help="messages of each user [%(default)d]")
    parser.add_argument(
        "--provider-latency", type=float, default=0.05, help="seconds per call to the provider [%(default)g]"
    )
    parser.add_argument("--warm-up", type=float, default=3.0, help="seconds before the measurement [%(default)g]")
    parser.add_argument("--seconds", type=float, default=20.0, help="seconds of each measurement [%(default)g]")
    carry_out("retriever", _NOT_MEASURED, measure, parser.parse_args())


if __name__ == "__main__":
    main()
