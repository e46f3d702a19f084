"""One worker with a provider without limits: messages per second, and per second of the worker's CPU time.

The second figure is the rate of one core if provider and servers are on other machines: here they share the cores.
"""

import argparse

from benchmarks.backlog import Messages, fill
from benchmarks.command import say
from benchmarks.embedder.window import observe
from benchmarks.premises import Provider
from benchmarks.record import Record
from benchmarks.site import opened

NOT_MEASURED = ["a provider's latency", "messages that are split into several texts", "a network"]
_LEAST = 3.0


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--messages", type=int, default=150_000, help="messages in the stream at the start [%(default)d]"
    )
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--lane", choices=("live", "bulk"), default="live")
    parser.add_argument("--warm-up", type=float, default=5.0, help="seconds that don't count [%(default)g]")
    parser.add_argument("--seconds", type=float, default=60.0, help="that count at the most; less when all is done")


async def measure(chosen: argparse.Namespace, record: Record) -> None:
    """Let a new worker process the backlog in each round."""
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
