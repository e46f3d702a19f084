"""A time budget that is passed down."""

from memstream.runtime.clock import Clock


class Deadline:
    """So many seconds from now on, for everything that is done under it."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._end = clock.monotonic() + seconds

    def left(self) -> float:
        """Give the seconds left, 0 at the least."""
        return max(0.0, self._end - self._clock.monotonic())

    @property
    def passed(self) -> bool:
        """Nothing is left."""
        return self.left() == 0.0
