"""One worker against a provider without limits: messages a second, and a second of the worker's CPU.

The second figure is what a core gives when provider and servers are elsewhere: here they share this machine's cores.
"""

import argparse

from benchmarks.backlog import Messages, fill
from benchmarks.command import say
from benchmarks.embedder.window import observe
from benchmarks.record import Record
from benchmarks.site import Provider, opened

NOT_MEASURED = ["a provider's latency", "messages that are split into several texts", "a network"]
_LEAST = 3.0


def options(parser: argparse.ArgumentParser) -> None:
    """Add what can be chosen."""
    parser.add_argument("--messages", type=int, default=150_000, help="in the stream beforehand [%(default)d]")
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--lane", choices=("live", "bulk"), default="live")
    parser.add_argument("--warm-up", type=float, default=5.0, help="seconds that don't count [%(default)g]")
    parser.add_argument("--seconds", type=float, default=60.0, help="that count at the most; less when all is done")


async def measure(chosen: argparse.Namespace, record: Record) -> None:
    """Let a fresh worker work off the backlog, round for round."""
    for number in range(1, chosen.rounds + 1):
        say(f"round {number} of {chosen.rounds}")
        provider = Provider(dimensions=chosen.dimensions, seed=chosen.seed)
        async with opened(provider, first_port=chosen.first_port) as site:
            await site.start("redis", "qdrant", "provider")
            await fill(site, Messages(chosen.seed), chosen.messages, chosen.lane)
            await site.start(*site.workers)
            window = await observe(site, chosen.lane, warm_up=chosen.warm_up, seconds=chosen.seconds, least=_LEAST)
        cpu = window.cpu_of(*site.workers)
        record.add("messages", "/s", window.per_second)
        record.add("messages per second of the worker's CPU", "/s", window.messages / cpu, at_least=3000)
        for name, seconds in window.cpu_seconds.items():
            record.add(f"cores busy, {name}", "", seconds / window.seconds)
        record.samples.setdefault("rounds", []).append(window.document())
        say(f"  {window.per_second:.0f} messages/s, {window.messages / cpu:.0f} per second of the worker's CPU")
