"""Throughput with a provider that has limits: what is embedded in a steady window, as a share of the limit.

The limits are on requests, on tokens, and on concurrent calls, each with one worker and with several. Calls that the
provider refuses after the warm-up are counted: there should be none.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.backlog import Messages, fill
from benchmarks.command import say
from benchmarks.embedder.window import observe
from benchmarks.premises import Provider
from benchmarks.record import Record
from benchmarks.site import opened

NOT_MEASURED = [
    "a distant provider, or one whose limits change",
    "a retriever's queries from the same budget",
    "texts of different lengths",
]
_SPARE = 1.15
_OVER = 1.02


@dataclass(frozen=True, slots=True)
class Case:
    """A limit."""

    name: str
    provider: Provider
    allowed: float
    """Messages per second that it allows."""
    burst: float
    """Messages that may be embedded in a burst before the limit applies."""
    settings: dict[str, object]
    """The setting that tells the embedders the limit."""
    is_told: bool = False
    """The provider's answers don't report it."""


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--limits", nargs="+", default=["requests", "tokens", "calls"], help="which limits [%(default)s]"
    )
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--rpm", type=int, default=300, help="requests a minute [%(default)d]")
    parser.add_argument("--tpm", type=int, default=300_000, help="tokens a minute [%(default)d]")
    parser.add_argument("--concurrency", type=int, default=4, help="calls that the provider answers at once")
    parser.add_argument("--latency", type=float, default=0.2, help="seconds a call [%(default)g]")
    parser.add_argument("--batch-texts", type=int, default=32)
    parser.add_argument("--lane", choices=("live", "bulk"), default="live")
    parser.add_argument("--told", action="store_true", help="tell the embedders the limits; else they find out")
    parser.add_argument("--warm-up", type=float, default=60.0, help="seconds that don't count [%(default)g]")
    parser.add_argument("--seconds", type=float, default=60.0, help="seconds that count [%(default)g]")


async def measure(chosen: argparse.Namespace, record: Record) -> None:
    """Run every case with every number of workers, in turn."""
    messages = Messages(chosen.seed)
    for number in range(1, chosen.rounds + 1):
        for case in _cases(chosen, messages):
            for workers in chosen.workers:
                say(f"round {number} of {chosen.rounds}: {case.name}, {workers} workers, {case.allowed:.0f}/s allowed")
                await _contend(chosen, record, messages, case, workers)


def _cases(chosen: argparse.Namespace, messages: Messages) -> Sequence[Case]:
    def provider(rpm: int | None = None, tpm: int | None = None, concurrency: int | None = None) -> Provider:
        return Provider(chosen.latency, rpm, tpm, concurrency, dimensions=64, seed=chosen.seed)

    per_call = chosen.batch_texts
    cases = {
        "requests": Case(
            "requests a minute",
            provider(rpm=chosen.rpm),
            chosen.rpm / 60 * per_call,
            chosen.rpm * per_call,
            {"embeddings_requests_per_minute": chosen.rpm},
        ),
        "tokens": Case(
            "tokens a minute",
            provider(tpm=chosen.tpm),
            chosen.tpm / 60 / messages.tokens,
            chosen.tpm / messages.tokens,
            {"embeddings_tokens_per_minute": chosen.tpm},
        ),
        "calls": Case(
            "concurrent calls",
            provider(concurrency=chosen.concurrency),
            chosen.concurrency / chosen.latency * per_call,
            0,
            {"embeddings_calls": chosen.concurrency},
            is_told=True,
        ),
    }
    return [cases[name] for name in chosen.limits]


async def _contend(chosen: argparse.Namespace, record: Record, messages: Messages, case: Case, workers: int) -> None:
    settings = {"batch_texts": chosen.batch_texts, **(case.settings if chosen.told or case.is_told else {})}
    site_of = opened(case.provider, workers=workers, first_port=chosen.first_port, **settings)
    async with site_of as site:
        await site.start("redis", "qdrant", "provider")
        count = _SPARE * (case.burst + case.allowed * (chosen.warm_up + chosen.seconds))
        await fill(site, messages, int(count), chosen.lane)
        await site.start(*site.workers)
        window = await observe(site, chosen.lane, warm_up=chosen.warm_up, seconds=chosen.seconds)
    name = f"{case.name}, {workers} worker{'s'[: workers != 1]}"
    record.add(f"share of the limit: {name}", "ratio", window.per_second / case.allowed, at_least=0.95)
    record.add(f"calls refused after the warm-up: {name}", "", window.refused, at_most=0)
    record.add(f"calls refused during the warm-up: {name}", "", window.refused_before)
    record.samples.setdefault(name, []).append({"allowed_per_second": case.allowed, **window.document()})
    if window.per_second > _OVER * case.allowed:
        say("  more than the limit: what the provider lets through at once in the beginning outlasted the warm-up")
    say(f"  {window.per_second / case.allowed:.1%} of the limit, {window.refused} refused after the warm-up")
