"""A time budget that is passed down."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from memstream.runtime.clock import Clock
from memstream.runtime.errors import Unavailable


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
        """Whether no time is left."""
        return self.left() == 0.0

    def part(self, share: float) -> "Deadline":
        """Give a share of what is left to one part of the work."""
        return Deadline(self._clock, share * self.left())

    @contextlib.asynccontextmanager
    async def enforced(self, dependency: str) -> AsyncIterator[None]:
        """Break off what is done within when nothing is left.

        Raises:
            Unavailable: it was broken off; `dependency` is what kept it.

        """
        try:
            async with asyncio.timeout(self.left()):
                yield
        except TimeoutError as error:
            raise Unavailable(dependency, "no answer in time") from error
