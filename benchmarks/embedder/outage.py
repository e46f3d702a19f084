"""An outage of the provider under load: lost messages, dead letters, and how fast the backlog is drained afterwards.

Messages are posted to ingest at a steady rate all the time. The reference is a new worker with a backlog as large as
the one that the outage leaves, under the same load, without an outage.
"""

import argparse
import asyncio
import time
from dataclasses import asdict, dataclass

from benchmarks.backlog import Messages, Progress, Ticks, fill, letters, progress
from benchmarks.command import say
from benchmarks.load import loaded
from benchmarks.premises import Provider
from benchmarks.record import Record
from benchmarks.site import Failed, Site, opened
from memstream.contracts.keys import Lane

NOT_MEASURED = ["an outage of Redis or Qdrant (see tests/reliability)", "clients that give up", "a network"]
_LANE: Lane = "live"
_PERIOD = 0.5
_TOLD_EVERY = 60.0
_STUCK_SECONDS = 120.0
_MANY_CALLS = 100_000
_FAULTS = {"errors": "unavailable", "silent": "timeout"}


@dataclass(frozen=True, slots=True)
class Drain:
    """How a backlog was drained."""

    samples: list[Progress]

    @property
    def _moving(self) -> list[Progress]:
        """The samples from the first acknowledged message on."""
        start = self.samples[0].acknowledged
        return [sample for sample in self.samples if sample.acknowledged > start] or self.samples

    @property
    def first_after(self) -> float:
        """Seconds until the first message was acknowledged."""
        return self._moving[0].at - self.samples[0].at

    @property
    def longest_pause(self) -> float:
        """Longest time, after the first message, without an acknowledgement, in seconds."""
        longest, moved = 0.0, self._moving[0]
        for sample in self._moving:
            longest = max(longest, sample.at - moved.at - _PERIOD)
            if sample.acknowledged > moved.acknowledged:
                moved = sample
        return longest

    @property
    def per_second(self) -> float:
        """Messages acknowledged per second, from the first on."""
        first, last = self._moving[0], self._moving[-1]
        return (last.acknowledged - first.acknowledged) / max(last.at - first.at, _PERIOD)

    def document(self) -> list[dict[str, float]]:
        """Return the samples, in seconds since the drain began."""
        start = self.samples[0].at
        return [{**asdict(sample), "at": round(sample.at - start, 2)} for sample in self.samples]


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--outage", type=float, default=600.0, help="seconds [%(default)g]")
    parser.add_argument(
        "--kind", choices=("gone", *_FAULTS), default="gone", help="refused connections, 503s, or hangs"
    )
    parser.add_argument("--rate", type=float, default=50.0, help="messages posted a second [%(default)g]")
    parser.add_argument("--latency", type=float, default=0.1, help="seconds a call [%(default)g]")
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--batch-texts", type=int, default=32)
    parser.add_argument("--lead", type=float, default=15.0, help="seconds of load before the outage [%(default)g]")


async def measure(chosen: argparse.Namespace, record: Record) -> None:
    """Drain a backlog without an outage and after one, in turn."""
    for _ in range(chosen.rounds):
        usual = await _run(chosen, record, with_outage=False)
        after = await _run(chosen, record, with_outage=True)
        record.add("drain rate, without an outage", "/s", usual.per_second)
        record.add("drain rate, after the outage", "/s", after.per_second)
        record.add("drain rate after the outage / without an outage", "ratio", after.per_second / usual.per_second)
        record.add("from the end of the outage to the first acknowledged message", "s", after.first_after)
        record.add("longest pause in the drain without an outage", "s", usual.longest_pause)
        record.add("longest pause in the drain after the outage", "s", after.longest_pause)


async def _run(chosen: argparse.Namespace, record: Record, *, with_outage: bool) -> Drain:
    provider = Provider(chosen.latency, dimensions=64, seed=chosen.seed)
    settings = {"batch_texts": chosen.batch_texts, "concurrency": chosen.slots}
    messages = Messages(chosen.seed)
    filled = 0 if with_outage else int(chosen.rate * chosen.outage)
    async with opened(provider, first_port=chosen.first_port, **settings) as site:
        await site.start("redis", "qdrant", "provider")
        await site.start("keys")
        await fill(site, messages, filled, _LANE)
        await site.start("ingest-1")
        async with loaded(site, chosen.rate, messages) as load:
            if with_outage:
                await _outage(chosen, site)
            else:
                say(f"without an outage: {filled:,} messages wait")
                await site.start(*site.workers)
            drain = await _drain(site, int(chosen.rate))
            say(f"  first after {drain.first_after:.1f} s, then {drain.per_second:.0f} messages/s")
        await _drain(site, 0)
        stored, dead = await site.points(), await letters(site)
    name = "after the outage" if with_outage else "without an outage"
    _judge(record, name, filled + load.accepted, stored, dead)
    record.add(f"posts refused, {name}", "", sum(load.failed.values()), at_most=0)
    record.samples.setdefault(name, []).append(drain.document())
    return drain


async def _outage(chosen: argparse.Namespace, site: Site) -> None:
    await site.start(*site.workers)
    say(f"load for {chosen.lead:g} s, then an outage of {chosen.outage:g} s ({chosen.kind})")
    await asyncio.sleep(chosen.lead)
    if chosen.kind == "gone":
        await site.kill("provider")
    else:
        await site.script(fail_next={"calls": _MANY_CALLS, "name": _FAULTS[chosen.kind]})
    end = time.perf_counter() + chosen.outage
    while (left := end - time.perf_counter()) > 0:
        await asyncio.sleep(min(left, _TOLD_EVERY))
        site.require_alive()
        left = max(0.0, end - time.perf_counter())
        say(f"  {left:.0f} s of it left, {(await progress(site, _LANE)).left:,} messages wait")
    if chosen.kind == "gone":
        await site.start("provider")
    else:
        await site.script(mend=True)
    say("the provider is back")


async def _drain(site: Site, rest: int) -> Drain:
    """Wait until no more than `rest` messages are left."""
    ticks, first = Ticks(_PERIOD), await progress(site, _LANE)
    samples = [first]
    moved = first
    while samples[-1].left > rest:
        await ticks.wait()
        site.require_alive()
        samples.append(await progress(site, _LANE))
        if samples[-1].acknowledged > moved.acknowledged:
            moved = samples[-1]
        if samples[-1].at - moved.at > _STUCK_SECONDS:
            raise Failed(f"nothing was acknowledged for {_STUCK_SECONDS:g} s\n{site.log(site.workers[0])}")
    return Drain(samples)


def _judge(record: Record, name: str, accepted: int, stored: int, dead: int) -> None:
    record.add(f"messages accepted, {name}", "", accepted)
    record.add(f"lost, {name}", "", max(0, accepted - stored - dead), at_most=0)
    record.add(f"stored twice, {name}", "", max(0, stored - accepted), at_most=0)
    record.add(f"dead letters, {name}", "", dead, at_most=0)
