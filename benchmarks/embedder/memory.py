"""Memory with a large backlog: of a worker that processes it, and of the stream afterwards.

The replay window is short, so that trimming shows: when all is processed and the window has passed, the stream should
be almost empty.
"""

import argparse
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from benchmarks.backlog import Messages, Ticks, fill, letters, progress
from benchmarks.command import say
from benchmarks.premises import Provider
from benchmarks.record import Record
from benchmarks.site import Failed, Site, opened
from memstream.contracts.keys import Lane

NOT_MEASURED = ["memory over days", "memory of ingest's seen-keys in Redis", "memory of Qdrant"]
_PERIOD = 1.0
_TOLD_EVERY = 30
_MB = 1e6
_STUCK_SECONDS = 120.0
_NODE_ENTRIES = 1000
"""Trimming leaves whole nodes of the stream; those of 1 KB entries hold fewer than this."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The state at one time, in seconds since the worker was ready."""

    at: float
    acknowledged: int
    left: int
    entries: int
    resident_mb: float
    redis_mb: float


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--bytes", type=int, default=300, help="of a text: so many that its tokens have to be counted")
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--lane", choices=("live", "bulk"), default="bulk")
    parser.add_argument("--replay-window", type=float, default=30.0, help="seconds [%(default)g]")
    parser.add_argument("--trim-period", type=float, default=5.0, help="seconds [%(default)g]")


async def measure(chosen: argparse.Namespace, record: Record) -> None:
    """Fill the stream, let a worker drain it, and wait for the stream to shrink."""
    settings = {"replay_window": chosen.replay_window, "trim_period": chosen.trim_period}
    for _ in range(chosen.rounds):
        provider = Provider(dimensions=chosen.dimensions, seed=chosen.seed)
        async with opened(provider, first_port=chosen.first_port, **settings) as site:
            await site.start("redis", "qdrant", "provider")
            say(f"{chosen.messages:,} messages into the stream")
            await fill(site, Messages(chosen.seed, size=chosen.bytes), chosen.messages, chosen.lane)
            await site.start(*site.workers)
            ready = time.perf_counter()
            samples = await _drained(site, chosen.lane, ready)
            samples.append(await _shrunk(site, chosen, ready))
            lost = chosen.messages - await site.points()
            dead = await letters(site)
        _note(record, samples)
        record.add("messages not stored", "", lost, at_most=0)
        record.add("dead letters", "", dead, at_most=0)


def _note(record: Record, samples: Sequence[Sample]) -> None:
    draining, last = samples[:-1], samples[-1]
    sizes = [sample.resident_mb for sample in draining]
    tenth = max(1, len(sizes) // 10)
    grown = statistics.median(sizes[-tenth:]) - statistics.median(sizes[tenth : 2 * tenth] or sizes)
    took = draining[-1].at - draining[0].at
    record.add("resident memory of the worker, at its start", "MB", sizes[0])
    record.add("resident memory of the worker, highest", "MB", max(sizes), at_most=200)
    record.add("growth of the worker from the second tenth of the drain to the last", "MB", grown, at_most=10)
    record.add("messages", "/s", (draining[-1].acknowledged - draining[0].acknowledged) / took)
    record.add("Redis, full backlog", "MB", draining[0].redis_mb)
    record.add("Redis, after the replay window", "MB", last.redis_mb)
    record.add("entries in the stream after the replay window", "", last.entries, at_most=_NODE_ENTRIES)
    record.samples.setdefault("rounds", []).append([asdict(sample) for sample in samples])


async def _drained(site: Site, lane: Lane, ready: float) -> list[Sample]:
    ticks = Ticks(_PERIOD)
    samples = [await _look(site, lane, ready)]
    moved = samples[0]
    while samples[-1].left:
        await ticks.wait()
        site.require_alive()
        samples.append(await _look(site, lane, ready))
        if samples[-1].acknowledged > moved.acknowledged:
            moved = samples[-1]
        if samples[-1].at - moved.at > _STUCK_SECONDS:
            raise Failed(f"nothing was acknowledged for {_STUCK_SECONDS:g} s\n{site.log(site.workers[0])}")
        if len(samples) % _TOLD_EVERY == 0:
            say(f"  {samples[-1].left:,} left, worker {samples[-1].resident_mb:.0f} MB")
    return samples


async def _shrunk(site: Site, chosen: argparse.Namespace, ready: float) -> Sample:
    say("  all done; waiting for the stream to be trimmed")
    ticks, begun = Ticks(_PERIOD), time.perf_counter()
    while True:
        sample = await _look(site, chosen.lane, ready)
        waited = time.perf_counter() - begun
        if sample.entries <= _NODE_ENTRIES or waited > chosen.replay_window + 4 * chosen.trim_period:
            return sample
        await ticks.wait()


async def _look(site: Site, lane: Lane, ready: float) -> Sample:
    state = await progress(site, lane)
    memory = await site.redis.info("memory")
    return Sample(
        at=round(state.at - ready, 2),
        acknowledged=state.acknowledged,
        left=state.left,
        entries=state.entries,
        resident_mb=site.usage()[site.workers[0]].resident_bytes / _MB,
        redis_mb=memory["used_memory"] / _MB,
    )
