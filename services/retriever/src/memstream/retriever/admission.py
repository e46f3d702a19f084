"""Admission control: how many requests are processed at once, and how many may wait for that."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from memstream.runtime.deadline import Deadline
from memstream.runtime.errors import Busy, Unavailable

_RETRY_AFTER = 1.0
"""Seconds."""


class ConcurrencyLimiter:
    """Admits so many requests at once, lets so many wait, and turns the others away.

    More concurrent requests would only increase latency and memory.
    """

    def __init__(self, at_once: int, waiting: int) -> None:
        self._permits = asyncio.Semaphore(at_once)
        self._max_waiting = waiting
        self._waiting = 0

    @property
    def waiting(self) -> int:
        """How many wait for a permit now."""
        return self._waiting

    @contextlib.asynccontextmanager
    async def admitted(self, deadline: Deadline | None = None) -> AsyncIterator[None]:
        """Hold a permit, once there is one.

        Raises:
            Busy: as many wait as may, or there was no permit before the deadline.

        """
        await self._acquire(deadline)
        try:
            yield
        finally:
            self._permits.release()

    async def _acquire(self, deadline: Deadline | None) -> None:
        if not self._permits.locked():
            await self._permits.acquire()
            return
        if self._waiting >= self._max_waiting:
            raise Busy("the retriever", f"{self._waiting} requests wait already", retry_after=_RETRY_AFTER)
        self._waiting += 1
        try:
            if deadline is None:
                await self._permits.acquire()
            else:
                async with deadline.enforced("the retriever"):
                    await self._permits.acquire()
        except Unavailable as error:
            raise Busy("the retriever", "too many requests are made at once", retry_after=_RETRY_AFTER) from error
        finally:
            self._waiting -= 1
