"""Measures the time from a message's POST until a search finds it, less the provider's latency, in open loop.

    python -m benchmarks.searchable [--rate 200] [--import 200000] [--latency 0.1] [--seconds 60] [--json FILE]

Messages are posted one by one, at the times of a seeded Poisson process; a measurement starts when a message was due,
even if the sender was late. A sample of the messages is searched for, as by a client that reads its own writes: a
keyword search with `wait_for` the position that the POST returned, started as soon as that answer is there. The
measurement ends when the search's answer is read, and counts only if the message is among the hits. Only a sample is
searched for, because a search costs several times as much as a post, on the same cores. The search is by keyword, so
that the provider is called once per message; its latency is the same for every call, and is subtracted. Then the same
is measured during an import in the bulk lane, which is posted in batches as fast as they are accepted.
"""

import argparse

from benchmarks.backlog import Messages
from benchmarks.command import carry_out, say, shared_options
from benchmarks.premises import Provider
from benchmarks.record import Record
from benchmarks.searchable.imports import importing
from benchmarks.searchable.probes import Probes
from benchmarks.site import opened

_NOT_MEASURED = [
    "a network between the parts",
    "the search's share of the time, which is included",
    "several workers of a service",
    "parts on separate machines: sender, services and servers share the cores",
]
_WORKER = "embedder-1"
_STAGES = {"embed": "a call to the provider", "store": "an upsert to Qdrant"}
_PARTS = ("ingest-1", "retriever-1", _WORKER)
_BOUNDS = {50: 30.0, 99: 150.0}


async def measure(chosen: argparse.Namespace, record: Record) -> None:
    """Without an import and during one, in turn."""
    for number in range(1, chosen.rounds + 1):
        for imported in (0, chosen.imported) if chosen.imported else (0,):
            with_import = f"during an import of {imported:,}" if imported else "alone"
            say(f"round {number} of {chosen.rounds}: {chosen.rate:g} messages/s {with_import}")
            await _contend(chosen, record, number, imported, with_import)


async def _contend(chosen: argparse.Namespace, record: Record, number: int, imported: int, name: str) -> None:
    provider = Provider(chosen.latency, dimensions=chosen.dimensions, seed=chosen.seed)
    # Each round has its own times, the same for every contender.
    messages = Messages(chosen.seed * 1000 + number)
    async with opened(provider, first_port=chosen.first_port) as site:
        await site.start("redis", "qdrant", "provider")
        await site.start("keys")
        await site.start(*_PARTS)
        probes = Probes(site, messages, rate=chosen.rate, every=chosen.every)
        async with importing(site, messages, imported) as transfer:
            before, metrics = site.usage(), await site.metrics(_WORKER)
            samples = await probes.run(chosen.warm_up, chosen.seconds)
            after, metrics_after = site.usage(), await site.metrics(_WORKER)
            left = await transfer.left()
    times = sorted(1000 * (sample.found - sample.due - chosen.latency) for sample in samples.found)
    for percent in (50, 95, 99):
        bound = {"at_most": _BOUNDS[percent]} if percent in _BOUNDS else {}
        value = times[min(len(times) - 1, len(times) * percent // 100)]
        record.add(f"searchable, p{percent}, {name}", "ms", value, **bound)
    record.add(f"accepted, p99, {name}", "ms", samples.accepted_ms(99))
    record.add(f"delay of the sender, p99, {name}", "ms", samples.late_ms(99))
    record.add(f"not accepted or not found, {name}", "", sum(samples.failed.values()), at_most=0)
    record.add(f"messages posted, {name}", "/s", samples.posted / chosen.seconds)
    took = chosen.warm_up + chosen.seconds
    busy = {part: (after[part].cpu_seconds - before[part].cpu_seconds) / took for part in before}
    cores = sum(busy.values())
    record.add(f"cores busy, all parts, {name}", "", cores)
    for stage, about in _STAGES.items():
        total, calls = (
            metrics_after[f"memstream_embedder_{stage}_seconds_{part}"]
            - metrics[f"memstream_embedder_{stage}_seconds_{part}"]
            for part in ("sum", "count")
        )
        record.add(f"mean of {about}, {name}", "ms", 1000 * total / max(1.0, calls))
    slots = metrics_after["memstream_embedder_concurrency"]
    record.add(f"maximum of concurrent calls of the worker, at the end, {name}", "", slots)
    if imported:
        record.add("messages of the import not stored at the end of the window", "", left, at_least=1)
    record.samples.setdefault(name, []).append(samples.document() | {"import_left": left, "cores_busy": busy})
    say(f"  p50 {times[len(times) // 2]:.1f} ms, {len(times)} found, {dict(samples.failed)} failed, {cores:.2f} cores")


def main() -> None:
    """Run the benchmark with the options of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.searchable",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[shared_options(rounds=3, within=3600.0)],
    )
    parser.add_argument("--rate", type=float, default=200.0, help="messages posted per second [%(default)g]")
    parser.add_argument("--every", type=int, default=20, help="search for one message in this many [%(default)d]")
    parser.add_argument(
        "--import", type=int, default=200_000, dest="imported", help="messages; 0 is none [%(default)d]"
    )
    parser.add_argument("--latency", type=float, default=0.1, help="seconds per call to the provider [%(default)g]")
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--warm-up", type=float, default=10.0, help="seconds before the measurement [%(default)g]")
    parser.add_argument("--seconds", type=float, default=60.0, help="seconds of the measurement [%(default)g]")
    carry_out("searchable", _NOT_MEASURED, measure, parser.parse_args())


if __name__ == "__main__":
    main()
