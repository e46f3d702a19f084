"""What a number of messages or searches cost, and what that says of more of them. Pure."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

_MILLION = 1e6


@dataclass(frozen=True, slots=True)
class Span:
    """What was done within a time, and what each part spent on it."""

    seconds: float
    done: int
    cpu_seconds: Mapping[str, float]
    resident_bytes: Mapping[str, int]

    @property
    def per_second(self) -> float:
        """How much was done in a second."""
        return self.done / self.seconds

    def per_million(self) -> dict[str, float]:
        """Return the CPU seconds for a million, by kind of part: those of all workers together, and so on."""
        sums: dict[str, float] = defaultdict(float)
        for name, spent in self.cpu_seconds.items():
            sums[kind_of(name)] += spent * _MILLION / self.done
        return dict(sums)

    def busy(self, cores: Mapping[str, float]) -> dict[str, float]:
        """Return how busy the busiest part of each kind was: its share of the cores that such a part can use."""
        shares: dict[str, float] = defaultdict(float)
        for name, spent in self.cpu_seconds.items():
            kind = kind_of(name)
            if kind in cores:
                shares[kind] = max(shares[kind], spent / self.seconds / cores[kind])
        return dict(shares)

    def document(self) -> dict[str, Any]:
        """Return it for a record."""
        return asdict(self)


def kind_of(part: str) -> str:
    """Return what a part is one of: `embedder` of `embedder-2`."""
    return part.partition("-")[0]


def busiest(shares: Mapping[str, float]) -> str:
    """Return the part that was nearest to all that it can do."""
    return max(shares, key=lambda part: shares[part])


def ends_at(span: Span, part: str, cores: Mapping[str, float]) -> float:
    """Return at how many a second a part would use all of its cores, if each costs it as much as it did."""
    return cores[part] * _MILLION / span.per_million()[part]


def grows_by(first: Span, now: Span, kind: str | None = None) -> float:
    """Return the CPU for each one now as a multiple of what it was: of one kind of part, or of all."""
    before, after = first.per_million(), now.per_million()
    kinds = [kind] if kind is not None else list(before)
    return sum(after[each] for each in kinds) / sum(before[each] for each in kinds)
