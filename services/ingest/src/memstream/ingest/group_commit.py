"""One write for all who ask at the same time."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from memstream.runtime.errors import Overloaded

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


class GroupCommit(Generic[ItemT, ResultT]):
    """Gathers what comes in while a write is under way into the next write (DeWitt et al., 1984: group commit).

    `write` takes items and gives a result for each, in order; when it raises, all who took part get the error.
    A write holds `most` items or one caller's, whichever is more; at most `waiting` items wait for it.
    """

    def __init__(
        self, write: Callable[[Sequence[ItemT]], Awaitable[Sequence[ResultT]]], *, most: int, waiting: int
    ) -> None:
        self._write = write
        self._most = most
        self._waiting_limit = waiting
        self._waiting = 0
        self._queue: deque[tuple[Sequence[ItemT], asyncio.Future[Sequence[ResultT]]]] = deque()
        self._task: asyncio.Task[None] | None = None

    async def commit(self, items: Sequence[ItemT]) -> Sequence[ResultT]:
        """Write items together with those of others, and give their results.

        A caller that is cancelled leaves its items in the write.

        Raises:
            Overloaded: too many items wait already.
            Exception: whatever `write` raised.

        """
        if self._waiting and self._waiting + len(items) > self._waiting_limit:
            raise Overloaded(f"{self._waiting} messages wait to be written")
        done: asyncio.Future[Sequence[ResultT]] = asyncio.get_running_loop().create_future()
        self._queue.append((items, done))
        self._waiting += len(items)
        if self._task is None:
            self._task = asyncio.create_task(self._drain())
        return await done

    async def _drain(self) -> None:
        try:
            while self._queue:
                await self._write_group(self._next_group())
        finally:
            self._task = None

    def _next_group(self) -> list[tuple[Sequence[ItemT], asyncio.Future[Sequence[ResultT]]]]:
        group = [self._queue.popleft()]
        size = len(group[0][0])
        while self._queue and size + len(self._queue[0][0]) <= self._most:
            group.append(self._queue.popleft())
            size += len(group[-1][0])
        return group

    async def _write_group(self, group: list[tuple[Sequence[ItemT], asyncio.Future[Sequence[ResultT]]]]) -> None:
        items = [item for part, _ in group for item in part]
        try:
            results = await self._write(items)
        except Exception as error:  # noqa: BLE001 - every caller gets it, whatever it is
            for _, done in group:
                if not done.done():
                    done.set_exception(error)
        else:
            start = 0
            for part, done in group:
                if not done.done():
                    done.set_result(results[start : start + len(part)])
                start += len(part)
        finally:
            self._waiting -= len(items)
