"""Embedders: how many messages they store, of a backlog, with a provider whose latency is the limit."""

import argparse
from statistics import mean

from benchmarks.backlog import Messages, fill
from benchmarks.command import say
from benchmarks.embedder.window import observe
from benchmarks.premises import Provider
from benchmarks.record import Record
from benchmarks.scale.costs import Span
from benchmarks.scale.findings import compare, note
from benchmarks.scale.grounds import Grounds
from benchmarks.site import opened
from memstream.contracts.keys import Lane

_GOALS = {2: 1.9, 4: 3.6}
_SPARE = 1.1
_START_SECONDS = 4.0
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
        count = int(_SPARE * per_second * (_START_SECONDS + chosen.warm_up + chosen.seconds))
        await fill(site, Messages(chosen.seed), count, _LANE)
        await grounds.start(site, *site.workers)
        window = await observe(site, _LANE, warm_up=chosen.warm_up, seconds=chosen.seconds)
        held = {name: usage.resident_bytes for name, usage in site.usage().items() if name != "provider"}
        spent = {name: window.cpu_seconds[name] for name in held}
        return Span(window.seconds, window.messages, spent, held), window.slots[-1][1]
