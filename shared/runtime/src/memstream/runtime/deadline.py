"""A deadline that is passed down the call chain."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from memstream.runtime.clock import Clock
from memstream.runtime.errors import Late


class Deadline:
    """The end of a time budget of so many seconds."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._end = clock.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds left, at least 0."""
        return max(0.0, self._end - self._clock.monotonic())

    @property
    def passed(self) -> bool:
        """Whether no time is left."""
        return self.left() == 0.0

    def part(self, share: float) -> "Deadline":
        """Return a deadline after a share of the time that is left."""
        return Deadline(self._clock, share * self.left())

    @contextlib.asynccontextmanager
    async def enforced(self, dependency: str) -> AsyncIterator[None]:
        """Cancel the body when no time is left.

        Raises:
            Late: the body was cancelled; it was waiting for `dependency`.

        """
        try:
            async with asyncio.timeout(self.left()):
                yield
        except TimeoutError as error:
            raise Late(dependency, "no answer in time") from error
