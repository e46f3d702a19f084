"""The figures of what was measured with a number of parts of one kind, and with one of them."""

from collections.abc import Mapping

import psutil

from benchmarks.command import say
from benchmarks.record import Record
from benchmarks.scale.costs import Span, busiest, ends_at, grows_by, kind_of

_SHARED = ("redis", "qdrant")
_GROWTH = 1.10
_MIB = 2**20


def note(record: Record, span: Span, what: str, unit: str, cores: Mapping[str, float]) -> None:
    """Record what was done, what it cost each part, and where it would end. `what` is such as `2 workers`."""
    record.add(f"{unit}, {what}", "/s", span.per_second)
    for kind, seconds in span.per_million().items():
        record.add(f"CPU of {kind} for a million {unit}, {what}", "s", seconds)
    shares = span.busy(cores)
    for kind, share in shares.items():
        record.add(f"busiest {kind}, {what}", "ratio", share)
    for part in _SHARED:
        if part in span.cpu_seconds:
            record.add(f"{unit} that would fill {part}, {what}", "/s", ends_at(span, part, cores))
    for kind in {kind_of(name) for name in span.resident_bytes}:
        largest = max(held for name, held in span.resident_bytes.items() if kind_of(name) == kind)
        record.add(f"memory of {kind}, {what}", "MiB", largest / _MIB)
    record.samples.setdefault(what, []).append(span.document())
    whole = sum(span.cpu_seconds.values()) / span.seconds
    say(
        f"  {span.per_second:,.0f} {unit}/s; the busiest part is {busiest(shares)} ({max(shares.values()):.0%}); "
        f"{whole:.2f} of {psutil.cpu_count()} cores busy"
    )


def compare(record: Record, first: Span, now: Span, kind: str, number: int, goal: float) -> None:  # noqa: PLR0913, PLR0917 - what is compared with what
    """Record a throughput against that of one, and what happened to the cost of each message or search."""
    record.add(f"{number} {kind}s / 1", "times", now.per_second / first.per_second, at_least=goal)
    record.add(f"CPU of {kind}s, {number} / 1", "times", grows_by(first, now, kind), at_most=_GROWTH)
    record.add(f"CPU of all parts, {number} {kind}s / 1", "times", grows_by(first, now), at_most=_GROWTH)
