"""How many questions are worked on at once, and how many may wait for that."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from memstream.runtime.errors import Busy


class Turnstile:
    """Lets so many through at once and so many wait; turns the others away.

    What is beyond it would only make all answers later, and the memory of the process the limit.
    """

    def __init__(self, at_once: int, waiting: int) -> None:
        self._places = asyncio.Semaphore(at_once)
        self._most_waiting = waiting
        self._waiting = 0

    @property
    def waiting(self) -> int:
        """How many wait for a place now."""
        return self._waiting

    @property
    def is_full(self) -> bool:
        """Whoever enters now has to wait."""
        return self._places.locked()

    async def enter(self) -> None:
        """Take a place, once there is one; it has to be given back by `leave`.

        Raises:
            Busy: as many wait as may.

        """
        if self.is_full and self._waiting >= self._most_waiting:
            raise Busy("the retriever", f"{self._waiting} questions wait already", retry_after=1.0)
        self._waiting += 1
        try:
            await self._places.acquire()
        finally:
            self._waiting -= 1

    def leave(self) -> None:
        """Give a place back."""
        self._places.release()

    @contextlib.asynccontextmanager
    async def passed(self) -> AsyncIterator[None]:
        """Hold a place, once there is one.

        Raises:
            Busy: as many wait as may.

        """
        await self.enter()
        try:
            yield
        finally:
            self.leave()
