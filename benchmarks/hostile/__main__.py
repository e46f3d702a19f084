"""Measures what a hostile tenant at full speed costs another tenant.

    python -m benchmarks.hostile [--attacks flood deletions …] [--rate 20] [--searches 5] [--seconds 30]
                                 [--limits M S] [--json FILE]

The other tenant posts messages and searches at the times of seeded Poisson processes, alone and then during all attacks
at once (or those that are named). Times begin when a request was due. A message is searchable when a keyword search
that waits for its position has found it; this is asked of a sample. With `--limits`, the hostile tenant may post and
delete M messages and search S times per second, as in an installation with many tenants. The attacker runs in a process
of its own at a low priority, as it stands for other machines; what its requests cost the services is what is measured.
"""

import argparse
import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

from benchmarks.arrivals import Arrivals
from benchmarks.command import carry_out, say, shared_options
from benchmarks.hostile.attacks import ATTACKS, POISON
from benchmarks.http_client import HttpClient
from benchmarks.premises import Provider
from benchmarks.record import Figure, Record
from benchmarks.site import Failed, Site, opened
from memstream.contracts.tenants import TenantPolicy
from memstream.streams.tenant_policies import write_policy
from memstream.web.credentials import Credential, new_key, store_key

_ROOT = Path(__file__).parents[2]
_NOT_MEASURED = [
    "a network",
    "several workers of a service",
    "parts and attacker on separate machines: all share the cores",
]
_EVERY = 5
"""One of so many messages is waited for."""
_PERCENTILES = (50, 99)
_BOUNDS = {99: 2.0}
"""What each percentile may be under attack, as a multiple of what it is alone."""
_PARTS = ("ingest-1", "retriever-1", "embedder-1")


@dataclass(slots=True)
class _Times:
    """Seconds from when a request was due until its answer."""

    accepted: list[float] = field(default_factory=list)
    searchable: list[float] = field(default_factory=list)
    searched: list[float] = field(default_factory=list)
    refused: int = 0


class _Tenant:
    """The other tenant."""

    def __init__(self, site: Site, key: str) -> None:
        self._ingest = HttpClient(site.url_of("ingest-1"), key)
        self._retriever = HttpClient(site.url_of("retriever-1"), key)
        self.times = _Times()

    async def post(self, number: int, due: float) -> None:
        """Post a message, and wait for some until they are found."""
        text = f"the spare key number {number} is under the flower pot"
        status, answer = await self._ingest.post("/v1/messages", json.dumps({"user_id": "a", "text": text}).encode())
        if status != HTTPStatus.ACCEPTED:
            self.times.refused += 1
            return
        self.times.accepted.append(time.perf_counter() - due)
        if number % _EVERY:
            return
        accepted = json.loads(answer)
        body = {"user_id": "a", "query": f"spare key number {number}", "mode": "keyword", "limit": 50}
        body |= {"wait_for": [accepted["position"]], "wait_timeout": 30}
        status, answer = await self._retriever.post("/v1/search", json.dumps(body).encode())
        if status != HTTPStatus.OK or accepted["message_id"].encode() not in answer:
            self.times.refused += 1
            return
        self.times.searchable.append(time.perf_counter() - due)

    async def search(self, number: int, due: float) -> None:
        """Search."""
        body = {"user_id": "a", "query": f"Where is the spare key {number}?"}
        status, _ = await self._retriever.post("/v1/search", json.dumps(body).encode())
        if status != HTTPStatus.OK:
            self.times.refused += 1
            return
        self.times.searched.append(time.perf_counter() - due)


async def measure(chosen: argparse.Namespace, record: Record) -> None:
    """Alone and under attack, in turn."""
    for number in range(1, chosen.rounds + 1):
        for attacks in ((), chosen.attacks):
            name = "under attack" if attacks else "alone"
            say(f"round {number} of {chosen.rounds}: {name}")
            await _contend(chosen, record, number, attacks, name)
    for what in ("accepted", "searchable", "searched"):
        for percent in _PERCENTILES:
            pairs = [
                next(figure for figure in record.figures if figure.name == f"{what} {name}, p{percent}").values
                for name in ("under attack", "alone")
            ]
            ratios = [attacked / alone for attacked, alone in zip(*pairs, strict=True)]
            bound = {"at_most": _BOUNDS[percent]} if percent in _BOUNDS else {}
            record.figures.append(Figure(f"{what} under attack against alone, p{percent}", "ratio", ratios, **bound))


async def _contend(
    chosen: argparse.Namespace, record: Record, number: int, attacks: tuple[str, ...], name: str
) -> None:
    provider = Provider(chosen.latency, seed=chosen.seed)
    async with opened(provider, first_port=chosen.first_port) as site:
        await site.start("redis", "qdrant", "provider")
        await site.start("keys")
        tenants = {"calm": new_key(), "hostile": new_key()}
        for tenant, key in tenants.items():
            await store_key(site.redis, key, Credential(tenant))
        if chosen.limits is not None:
            messages, searches = chosen.limits
            limits = TenantPolicy(
                messages_per_second=messages, deletions_per_second=messages, searches_per_second=searches
            )
            await write_policy(site.redis, "hostile", limits)
        await site.start(*_PARTS)
        await site.script(poison=[POISON])
        calm = _Tenant(site, tenants["calm"])
        await _run(calm, chosen, 2.0, number)
        calm.times = _Times()
        before = site.usage()
        async with _attacked(site, tenants["hostile"], attacks, chosen.seconds + 2, record):
            await _run(calm, chosen, chosen.seconds, number)
        after = site.usage()
        site.require_alive()
    times = {"accepted": calm.times.accepted, "searchable": calm.times.searchable, "searched": calm.times.searched}
    for what, values in times.items():
        if not values:
            raise Failed(f"{name}: nothing was {what}; {calm.times.refused} requests were refused")
        for percent in _PERCENTILES:
            place = min(len(values) - 1, len(values) * percent // 100)
            _add(record, f"{what} {name}, p{percent}", "ms", 1000 * sorted(values)[place])
    _add(record, f"requests refused {name}", "requests", calm.times.refused)
    for part in (*_PARTS, "redis", "qdrant"):
        _add(record, f"memory of {part} {name}", "MB", after[part].resident_bytes / 1e6)
        _add(record, f"CPU of {part} {name}", "s", after[part].cpu_seconds - before[part].cpu_seconds)


def _add(record: Record, name: str, unit: str, value: float) -> None:
    for index, figure in enumerate(record.figures):
        if figure.name == name:
            record.figures[index] = Figure(name, unit, [*figure.values, value])
            return
    record.figures.append(Figure(name, unit, [value]))


async def _run(tenant: _Tenant, chosen: argparse.Namespace, seconds: float, number: int) -> None:
    end = time.perf_counter() + seconds

    def is_over() -> bool:
        return time.perf_counter() >= end

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(Arrivals(chosen.rate, chosen.seed * 1000 + number).run(tenant.post, until=is_over))
        tasks.create_task(Arrivals(chosen.searches, chosen.seed * 2000 + number).run(tenant.search, until=is_over))


@contextlib.asynccontextmanager
async def _attacked(
    site: Site, key: str, attacks: tuple[str, ...], seconds: float, record: Record
) -> AsyncIterator[None]:
    if not attacks:
        yield
        return
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.hostile.attacks", "--seconds", str(seconds)),
        *("--ingest", site.url_of("ingest-1"), "--retriever", site.url_of("retriever-1"), *attacks),
        cwd=_ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    answering = asyncio.create_task(process.communicate(f"{key}\n".encode()))
    try:
        await asyncio.sleep(1.0)
        yield
        output, _ = await answering
        answers = json.loads(output)
        record.samples.setdefault("answers", []).append(answers)
        for attack, statuses in answers.items():
            say(f"  {attack}: {', '.join(f'{number} x {status}' for status, number in sorted(statuses.items()))}")
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def main() -> None:
    """Measure as told on the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.hostile",
        parents=[shared_options(rounds=1, within=900)],
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=__doc__,
    )
    parser.add_argument("--attacks", nargs="+", choices=list(ATTACKS), default=tuple(ATTACKS), metavar="ATTACK")
    parser.add_argument("--rate", type=float, default=20.0, help="messages per second of the other tenant")
    parser.add_argument("--searches", type=float, default=5.0, help="searches per second of the other tenant")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument(
        "--limits",
        nargs=2,
        type=float,
        metavar=("M", "S"),
        help="messages (and deletions) and searches per second of the hostile tenant; without it, none",
    )
    parser.add_argument("--latency", type=float, default=0.05, help="seconds that a call to the provider takes")
    carry_out("hostile", _NOT_MEASURED, measure, parser.parse_args())


if __name__ == "__main__":
    main()
