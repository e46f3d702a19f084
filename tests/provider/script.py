"""How the simulated provider behaves, from now on: set by a test while it runs."""

import asyncio
import math
import re
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from random import Random

import numpy as np
import numpy.typing as npt

from .faults import Fault, FaultName
from .limits import RateLimits

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Latency:
    """A lognormal latency: seconds at the median, and how far it spreads (0 is always the same)."""

    median: float = 0.0
    sigma: float = 0.0

    def draw(self, chance: Random) -> float:
        """Draw the latency of one call."""
        return self.median * math.exp(self.sigma * chance.gauss(0.0, 1.0)) if self.median else 0.0


@dataclass(slots=True)
class Counts:
    """What the provider was asked."""

    calls: int = 0
    texts: int = 0
    refused: int = 0
    under_way: int = 0
    most_under_way: int = 0
    by_text: Counter[str] = field(default_factory=Counter)
    """How often each text was embedded or ranked, refused calls left out."""
    sizes: list[int] = field(default_factory=list)
    """Texts of each call, in order."""
    times: list[float] = field(default_factory=list)
    """When each call came, by the provider's clock."""


def words_in_common(query: str, text: str) -> float:
    """Give the share of words that a query and a text have in common (Jaccard index)."""
    words, others = set(re.findall(r"\w+", query.lower())), set(re.findall(r"\w+", text.lower()))
    return len(words & others) / max(1, len(words | others))


class Script:
    """The provider's behaviour. Without orders it answers every call, without a limit, at once."""

    def __init__(self, *, seed: int = 1, dimensions: int = 32) -> None:
        self.seed = seed
        self.dimensions = dimensions
        self.latency = Latency()
        self.limits = RateLimits()
        self.concurrency: int | None = None
        """Calls answered at once; further ones get 429."""
        self.storm = 0.0
        """Share of the calls that get 429, whatever the limits say."""
        self.poison: set[str] = set()
        """Texts that hold one of these make the whole call 400."""
        self.without_numbers: set[str] = set()
        """Texts that hold one of these get a vector of no numbers."""
        self.is_quoting = False
        """Whether errors repeat the texts, as those of some providers do."""
        self.relevance = words_in_common
        """How relevant a text is to a query, for rankings."""
        self.counts = Counts()
        self.chance = Random(seed)  # noqa: S311 - nothing secret is made from it
        self.open = asyncio.Event()
        """While it is not set, calls wait."""
        self.open.set()
        self.mended = asyncio.Event()
        """Set when it is mended next."""
        self._next: deque[Fault] = deque()
        self._lasting: Fault | None = None

    def fail_next(self, calls: int, name: FaultName, *, retry_after: float | None = None) -> None:
        """Let the next calls fail."""
        self._next.extend([Fault(name, retry_after)] * calls)

    def fail(self, name: FaultName, *, retry_after: float | None = None) -> None:
        """Let all calls fail until it is mended."""
        self._lasting = Fault(name, retry_after)

    def mend(self) -> None:
        """Let calls succeed again, and those that wait go on."""
        self._lasting = None
        self._next.clear()
        self.storm = 0.0
        self.open.set()
        self.mended.set()
        self.mended = asyncio.Event()

    def forget(self) -> None:
        """Count from zero."""
        self.counts = Counts(under_way=self.counts.under_way)

    def next_fault(self) -> Fault | None:
        """Decide what is wrong with a call that just came."""
        if self._next:
            return self._next.popleft()
        if self._lasting is None and self.storm and self.chance.random() < self.storm:
            return Fault("rate_limit")
        return self._lasting

    def is_poisoned(self, texts: Sequence[str]) -> bool:
        """Say whether one of the texts is refused."""
        return _holds(texts, self.poison)

    def has_no_numbers(self, texts: Sequence[str]) -> bool:
        """Say whether one of the texts gets a vector of no numbers."""
        return _holds(texts, self.without_numbers)


def _holds(texts: Sequence[str], words: Iterable[str]) -> bool:
    return any(word in text for word in words for text in texts)
