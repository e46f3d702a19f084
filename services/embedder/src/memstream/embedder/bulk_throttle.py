"""Bulk throttling: how many batches of an import may be in progress while live messages come.

Pure: the time is passed in. An import slows live messages down wherever both need the same: this worker's core, and
Qdrant. How much shows in the seconds from a live batch's vectors to its acknowledgement, compared with the shortest
seen lately. While that is a multiple, fewer batches of the import are in progress at once, but always one. A second
after the last live message, the import may use everything.
"""

import math

_QUIET_SECONDS = 1.0
"""Without a live message for so long, nothing is throttled."""

_RATIO = 3.0
"""Times the shortest. Chance alone makes it twice."""

_WEIGHT = 0.2
"""Of the latest batch in the running mean."""

_SHRINK, _GROWTH = 0.5, 0.25
"""A step down, as a factor, and a step up, in batches."""

_STEP_SECONDS = 0.25
"""Between two steps, so that the effect of the last one shows first."""

_WINDOW_SECONDS = 30.0
"""How long the shortest counts: this window and the one before."""


class BulkThrottle:
    """A limit between 1 and `most` on the batches of an import in progress at once."""

    def __init__(self, most: int) -> None:
        self._most = float(most)
        self._limit = 1.0
        self._mean: float | None = None
        self._shortest = self._shortest_before = math.inf
        self._window_since = -math.inf
        self._live_at = -math.inf
        self._stepped_at = -math.inf

    def note_live(self, seconds: float, now: float) -> None:
        """Note how long a live batch took from its vectors to its acknowledgement."""
        self._live_at = now
        self._mean = seconds if self._mean is None else self._mean + _WEIGHT * (seconds - self._mean)
        if now - self._window_since > _WINDOW_SECONDS:
            self._shortest_before, self._shortest, self._window_since = self._shortest, math.inf, now
        self._shortest = min(self._shortest, seconds)
        if now - self._stepped_at < _STEP_SECONDS:
            return
        self._stepped_at = now
        if self._mean > _RATIO * min(self._shortest, self._shortest_before):
            self._limit = max(1.0, self._limit * _SHRINK)
        else:
            self._limit = min(self._most, self._limit + _GROWTH)

    def allowed(self, now: float) -> int:
        """Return how many batches of an import may be in progress now."""
        return int(self._most if now - self._live_at > _QUIET_SECONDS else self._limit)
