"""How many calls to the provider may be in flight at once. Pure: the time is passed in.

It starts at two, grows while that brings something, and shrinks by a tenth when calls fail. More calls at once bring
nothing where they only make each other slower: so a step up is taken back when the calls after it took longer than
those before by half of what they would if a fixed capacity were divided among more of them.
"""

import math
from collections import defaultdict
from dataclasses import dataclass

_FIRST = 2

_GROWTH = 1.25
"""A step up, from five calls on; below it is one call."""

_SHRINK = 0.9

_RISE = math.log(1.25)
"""Calls that take a quarter longer, at the same number in flight, say that there are too many."""

_DEVIATIONS = 2.0
"""A difference of means below so many of its standard deviations is chance."""

_FEWEST, _MOST = 3, 400
"""Calls that are looked at before a decision."""

_FIRST_HOLD_SECONDS, _LONGEST_HOLD_SECONDS, _HOLD_FACTOR = 4.0, 600.0, 10.0
"""How long a number that was too many isn't tried again: the first time, at the most, and how that grows."""


@dataclass(slots=True)
class _SizeClass:
    """The logarithms of the seconds of calls of one size (Welford's running mean and sum of squares)."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def add(self, value: float) -> None:
        self.count += 1
        difference = value - self.mean
        self.mean += difference / self.count
        self.squares += difference * (value - self.mean)


class _MeasurementWindow:
    """Calls since the last decision. How long one takes depends on its texts, so each size is counted for itself."""

    def __init__(self) -> None:
        self.count = 0
        self.sizes: defaultdict[int, _SizeClass] = defaultdict(_SizeClass)

    def add(self, texts: int, seconds: float) -> None:
        self.count += 1
        self.sizes[texts.bit_length()].add(math.log(max(seconds, 1e-6)))

    @property
    def variance(self) -> float:
        """Within the sizes; 0 while too little is known."""
        freedom = self.count - len(self.sizes)
        return sum(size.squares for size in self.sizes.values()) / freedom if freedom > 0 else 0.0

    def rise_since(self, before: "_MeasurementWindow") -> tuple[float, float]:
        """Return how much longer calls took than before, as a logarithm, and the standard deviation of that."""
        rise = weight = 0.0
        for size, now in self.sizes.items():
            then = before.sizes.get(size)
            if then is not None:
                share = now.count * then.count / (now.count + then.count)
                rise += share * (now.mean - then.mean)
                weight += share
        if not weight:
            return 0.0, math.inf
        return rise / weight, math.sqrt((self.variance + before.variance) / 2 / weight)


class _Ceiling:
    """A number of calls that was too many: not tried again for a while, for longer each time that shows again."""

    def __init__(self) -> None:
        self._level = math.inf
        self._until = -math.inf
        self._hold_seconds = _FIRST_HOLD_SECONDS

    def record_overload(self, level: int, now: float) -> None:
        """Take a number for too many. A single call that is refused says nothing about the number."""
        self._hold_seconds = (
            min(_LONGEST_HOLD_SECONDS, self._hold_seconds * _HOLD_FACTOR)
            if level == self._level
            else _FIRST_HOLD_SECONDS
        )
        self._level = level if level > 1 else math.inf
        self._until = now + self._hold_seconds

    def cap(self, level: int, present: int, now: float) -> int:
        """Return how far one may go from the present number towards another."""
        self._clear_if_exceeded(present)
        if level < self._level:
            return level
        below = int(self._level) - 1
        return below if below > present or now < self._until else int(self._level)

    def is_blocked(self, level: int, present: int, now: float) -> bool:
        """Return whether one may not go from the present number to another now."""
        self._clear_if_exceeded(present)
        return level >= self._level and now < self._until

    def _clear_if_exceeded(self, present: int) -> None:
        if present >= self._level:
            # It went well after all.
            self._level, self._hold_seconds = math.inf, _FIRST_HOLD_SECONDS


class ConcurrencyController:
    """Adjusts a limit between 1 and `maximum`."""

    def __init__(self, maximum: int) -> None:
        self.maximum = maximum
        """The limit is never above."""
        self._limit = float(min(_FIRST, maximum))
        self._window = _MeasurementWindow()
        self._before: _MeasurementWindow | None = None
        self._came_from: int | None = None
        self._reached = False
        self._begun_before = 0
        self._shrunk_at = -math.inf
        self._refused = _Ceiling()
        self._slow = _Ceiling()

    @property
    def limit(self) -> int:
        """Calls that may be in flight now."""
        return int(self._limit)

    def started(self, in_flight: int, allowed: int) -> None:
        """Note that a call begins, with so many in flight, itself included, of as many as its lane may have."""
        self._reached = self._reached or in_flight >= allowed

    def succeeded(self, texts: int, seconds: float, now: float) -> None:
        """Note an answer, and decide when enough of them are there."""
        if self._begun_before:
            # It began before the step, so it took as long as calls did then.
            self._begun_before -= 1
            return
        self._window.add(texts, seconds)
        if self._window.count < self._enough():
            return
        if self._before is not None and self._took_longer(self._before):
            if self._came_from:
                self._slow.record_overload(self.limit, now)
                self._limit = self._came_from
            else:
                self._shrink(now)
            self._begin(None)
        else:
            self._begin(self._window)
            if self._reached:
                self._grow(now)
            self._reached = False

    def _enough(self) -> float:
        """Return how many calls it takes to see half of a step's rise: of the step that was made, and of the next."""
        step = math.log(self._next() / self.limit)
        variance = self._window.variance
        if self._before is not None:
            # A few calls that happen to be alike don't say that all are.
            variance = max(variance, self._before.variance)
        needed = 2 * variance * (_DEVIATIONS / (step / 2)) ** 2
        return min(_MOST, max(_FEWEST, self.limit, needed))

    def _next(self) -> int:
        return max(self.limit + 1, int(self.limit * _GROWTH))

    def _took_longer(self, before: _MeasurementWindow) -> bool:
        rise, deviation = self._window.rise_since(before)
        # A step may be too small (below what was refused, or up to the maximum) to distinguish its rise from chance.
        threshold = math.log(self.limit / self._came_from) / 2 if self._came_from else _RISE
        return rise > max(threshold, _DEVIATIONS * deviation)

    def failed(self, seconds: float, now: float, *, refused: bool) -> None:
        """Note that a call was refused, or that it failed in another way that passes.

        Calls that began before the last cut say nothing new.
        """
        if now - seconds < self._shrunk_at:
            return
        if refused:
            self._refused.record_overload(self.limit, now)
        self._shrink(now)
        self._begin(None)

    def _grow(self, now: float) -> None:
        level = self._refused.cap(min(self._next(), self.maximum), self.limit, now)
        # No smaller step instead of one that made calls slower: what little it costs couldn't be distinguished from
        # chance.
        if level > self.limit and not self._slow.is_blocked(level, self.limit, now):
            self._came_from, self._limit = self.limit, level
            self._begun_before = self._came_from

    def _shrink(self, now: float) -> None:
        self._limit = max(1.0, self._limit * _SHRINK)
        self._shrunk_at = now

    def _begin(self, before: _MeasurementWindow | None) -> None:
        self._before = before
        self._window = _MeasurementWindow()
        self._came_from = None
        self._begun_before = 0
