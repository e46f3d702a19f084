"""How far an import steps back while live messages come. Told the time, so pure.

An import costs live messages time wherever both need the same: this worker's core, and Qdrant. How much, shows in how
long live messages take from their vectors to their acknowledgement, held against the least that it took lately. While
that is a multiple, fewer batches of the import are in hand at once, down to one: it slows down, and never stands still.
Once no live message has come for a second, it may have everything.
"""

import math

_QUIET = 1.0
"""Seconds without a live message, after which an import has the worker to itself."""

_RATIO = 3.0
"""Times the least: chance alone makes it the double."""

_WEIGHT = 0.2
"""Of the latest batch in the running mean."""

_SHRINK, _GROWTH = 0.5, 0.25
"""A step down, as a factor, and a step up, in batches."""

_STEP_SECONDS = 0.25
"""Between two steps: what the last one brought has to show first."""

_LATELY = 30.0
"""Seconds for which the least is believed, once or twice over."""


class Deference:
    """A limit between 1 and `most` of the batches of an import in hand at once."""

    def __init__(self, most: int) -> None:
        self._most = float(most)
        self._limit = 1.0
        self._mean: float | None = None
        self._least = self._least_before = math.inf
        self._least_since = -math.inf
        self._seen_at = -math.inf
        self._stepped_at = -math.inf

    def stored(self, seconds: float, now: float) -> None:
        """Note how long a batch of live messages took from its vectors to its acknowledgement."""
        self._seen_at = now
        self._mean = seconds if self._mean is None else self._mean + _WEIGHT * (seconds - self._mean)
        if now - self._least_since > _LATELY:
            self._least_before, self._least, self._least_since = self._least, math.inf, now
        self._least = min(self._least, seconds)
        if now - self._stepped_at < _STEP_SECONDS:
            return
        self._stepped_at = now
        if self._mean > _RATIO * min(self._least, self._least_before):
            self._limit = max(1.0, self._limit * _SHRINK)
        else:
            self._limit = min(self._most, self._limit + _GROWTH)

    def allowed(self, now: float) -> int:
        """Give how many batches of an import may be in hand now."""
        return int(self._most if now - self._seen_at > _QUIET else self._limit)
