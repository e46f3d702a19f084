"""Scaling: throughput of 1, 2 and 4 workers with a provider whose latency is the limit.

Each worker has a fixed number of slots, and each call takes a fixed time. The slots should be the limit, as if every
worker had its own cores, and not the cores of this machine, which workers, servers and provider share. So a call
carries a single text: a worker then makes as many calls as its slots allow, with little other work. Even so, a call
costs workers and servers several milliseconds of CPU time. The number of busy cores is reported with every number of
workers: if it is near the number of cores, these were the limit, and the figure says nothing about the workers.
"""

import argparse
from statistics import mean

import psutil

from benchmarks.backlog import Messages, fill
from benchmarks.command import say
from benchmarks.embedder.window import Window, observe
from benchmarks.premises import Provider
from benchmarks.record import Record
from benchmarks.site import opened

NOT_MEASURED = ["workers on several machines, each with its own cores", "a network", "several partitions"]
_SPARE = 1.1
_START_SECONDS = 4.0
_TARGET = {4: 3.8}


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--workers", type=int, nargs="+", default=[1, 2, 4], help="the first is what others are held to"
    )
    parser.add_argument("--latency", type=float, default=0.15, help="seconds a call [%(default)g]")
    parser.add_argument("--slots", type=int, default=8, help="concurrent calls of a worker [%(default)d]")
    parser.add_argument("--batch-texts", type=int, default=1, help="texts a call [%(default)d]")
    parser.add_argument("--lane", choices=("live", "bulk"), default="live")
    parser.add_argument("--warm-up", type=float, default=10.0, help="seconds that don't count [%(default)g]")
    parser.add_argument("--seconds", type=float, default=20.0, help="seconds that count [%(default)g]")


async def measure(chosen: argparse.Namespace, record: Record) -> None:
    """Run every number of workers in turn."""
    for number in range(1, chosen.rounds + 1):
        rates: dict[int, float] = {}
        for workers in chosen.workers:
            say(f"round {number} of {chosen.rounds}: {workers} workers")
            window = await _contend(chosen, workers)
            rates[workers] = window.per_second
            name = f"{workers} worker{'s'[: workers != 1]}"
            slots = workers * chosen.slots / chosen.latency * chosen.batch_texts
            record.add(f"messages, {name}", "/s", window.per_second)
            record.add(f"share of the slots' maximum, {name}", "ratio", window.per_second / slots)
            cores = sum(window.cpu_seconds.values()) / window.seconds
            record.add(f"cores busy of {psutil.cpu_count()}, all parts, {name}", "", cores)
            record.add(f"maximum of concurrent calls of a worker, at the end, {name}", "", mean(window.slots[-1][1]))
            record.samples.setdefault(name, []).append(window.document())
            say(
                f"  {window.per_second:.0f} messages/s, {window.per_second / slots:.1%} of what the slots allow, "
                f"{cores:.2f} of {psutil.cpu_count()} cores busy"
            )
        first = chosen.workers[0]
        for workers in chosen.workers[1:]:
            bound = {"at_least": _TARGET[workers]} if first == 1 and workers in _TARGET else {}
            record.add(f"{workers} workers / {first}", "times", rates[workers] / rates[first], **bound)


async def _contend(chosen: argparse.Namespace, workers: int) -> Window:
    provider = Provider(chosen.latency, dimensions=64, seed=chosen.seed)
    per_second = workers * chosen.slots / chosen.latency * chosen.batch_texts
    settings = {"batch_texts": chosen.batch_texts, "concurrency": chosen.slots}
    async with opened(provider, workers=workers, first_port=chosen.first_port, **settings) as site:
        await site.start("redis", "qdrant", "provider")
        count = _SPARE * per_second * (_START_SECONDS + chosen.warm_up + chosen.seconds)
        await fill(site, Messages(chosen.seed), int(count), chosen.lane)
        await site.start(*site.workers)
        return await observe(site, chosen.lane, warm_up=chosen.warm_up, seconds=chosen.seconds)
