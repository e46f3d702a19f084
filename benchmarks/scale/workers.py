"""Embedders: how many messages they store, of a few more than they can, with a provider whose latency is the limit.

Messages come one after the other. Of a backlog that is there at once, an embedder reserves what it has read, and others
that have nothing left do not take it over: then the figure would say how it was divided by chance.
"""

import argparse
import asyncio
import contextlib
from statistics import mean

from benchmarks.backlog import Messages, feed
from benchmarks.command import say
from benchmarks.embedder.window import observe
from benchmarks.premises import Provider
from benchmarks.record import Record
from benchmarks.scale.costs import Span
from benchmarks.scale.findings import compare, note
from benchmarks.scale.grounds import Grounds
from benchmarks.site import opened
from memstream.contracts.keys import Lane
from memstream.streams.groups import create_groups

_GOALS = {2: 1.9, 4: 3.6}
_SPARE = 1.1
_LANE: Lane = "live"


async def measure_workers(chosen: argparse.Namespace, record: Record, grounds: Grounds) -> None:
    """Measure every number of workers in each round, each with servers of its own."""
    for number in range(1, chosen.rounds + 1):
        spans: dict[int, Span] = {}
        for workers in chosen.workers:
            say(f"round {number} of {chosen.rounds}: {workers} embedders")
            spans[workers], calls = await _work(chosen, grounds, workers)
            what = f"{workers} embedder{'s'[: workers != 1]}"
            note(record, spans[workers], what, "messages", grounds.usable)
            record.add(f"calls at once that each allows itself, of {chosen.slots}, {what}", "", mean(calls))
            if workers in _GOALS and 1 in spans:
                compare(record, spans[1], spans[workers], "embedder", workers, _GOALS[workers])


async def _work(chosen: argparse.Namespace, grounds: Grounds, workers: int) -> tuple[Span, list[int]]:
    provider = Provider(chosen.provider_latency, dimensions=chosen.dimensions, seed=chosen.seed)
    per_second = workers * chosen.slots / chosen.provider_latency * chosen.batch_texts
    settings = {"batch_texts": chosen.batch_texts, "concurrency": chosen.slots}
    async with opened(
        provider, workers=workers, first_port=chosen.first_port, premises=grounds.premises(), **settings
    ) as site:
        await grounds.start(site, "redis", "qdrant", "provider")
        await create_groups(site.redis, 1)
        feeding = asyncio.create_task(feed(site, Messages(chosen.seed), _SPARE * per_second, _LANE))
        try:
            await grounds.start(site, *site.workers)
            window = await observe(site, _LANE, warm_up=chosen.warm_up, seconds=chosen.seconds)
        finally:
            feeding.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await feeding
        held = {name: usage.resident_bytes for name, usage in site.usage().items() if name != "provider"}
        spent = {name: window.cpu_seconds[name] for name in held}
        return Span(window.seconds, window.messages, spent, held), window.slots[-1][1]
