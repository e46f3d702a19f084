"""Group commit: one write for all callers of the same moment."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from memstream.runtime.errors import Overloaded

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


class Amount(NamedTuple):
    """An amount: items, and their bytes."""

    items: int
    size: int

    def plus(self, other: "Amount") -> "Amount":
        """Return the sum."""
        return Amount(self.items + other.items, self.size + other.size)

    def fits(self, limit: "Amount") -> bool:
        """Return whether neither items nor bytes exceed the limit."""
        return self.items <= limit.items and self.size <= limit.size


_NOTHING = Amount(0, 0)


@dataclass(frozen=True, slots=True)
class _Part(Generic[ItemT, ResultT]):
    """The items of one caller."""

    items: Sequence[ItemT]
    amount: Amount
    done: "asyncio.Future[Sequence[ResultT]]"


class GroupCommit(Generic[ItemT, ResultT]):
    """Collects the items that arrive during a write into the next write (DeWitt et al., 1984: group commit).

    `write` takes items and returns a result for each, in order. If it raises, all its callers get the error. `weigh`
    returns an item's bytes. A write has at most `limit`, or the items of one caller if those are more. At most
    `waiting_limit` is held until it is written, or the items of one caller if nothing else is held.
    """

    def __init__(
        self,
        write: Callable[[Sequence[ItemT]], Awaitable[Sequence[ResultT]]],
        weigh: Callable[[ItemT], int],
        *,
        limit: Amount,
        waiting_limit: Amount,
    ) -> None:
        self._write = write
        self._weigh = weigh
        self._limit = limit
        self._waiting_limit = waiting_limit
        self._waiting = _NOTHING
        self._queue: deque[_Part[ItemT, ResultT]] = deque()
        self._task: asyncio.Task[None] | None = None

    async def commit(self, items: Sequence[ItemT]) -> Sequence[ResultT]:
        """Write items together with those of other callers, and return their results.

        If the caller is cancelled, its items are written nevertheless.

        Raises:
            Overloaded: too much is waiting already.
            Exception: whatever `write` raised.

        """
        amount = Amount(len(items), sum(map(self._weigh, items)))
        waiting = self._waiting.plus(amount)
        if self._waiting.items and not waiting.fits(self._waiting_limit):
            raise Overloaded(f"{self._waiting.items} messages wait to be written")
        part: _Part[ItemT, ResultT] = _Part(items, amount, asyncio.get_running_loop().create_future())
        self._queue.append(part)
        self._waiting = waiting
        if self._task is None:
            self._task = asyncio.create_task(self._drain())
        return await part.done

    async def _drain(self) -> None:
        try:
            while self._queue:
                await self._write_group(*self._next_group())
        finally:
            self._task = None

    def _next_group(self) -> tuple[list[_Part[ItemT, ResultT]], Amount]:
        group = [self._queue.popleft()]
        amount = group[0].amount
        while self._queue and (more := amount.plus(self._queue[0].amount)).fits(self._limit):
            group.append(self._queue.popleft())
            amount = more
        return group, amount

    async def _write_group(self, group: Sequence[_Part[ItemT, ResultT]], amount: Amount) -> None:
        try:
            results = await self._write([item for part in group for item in part.items])
        except Exception as error:  # noqa: BLE001 - every caller gets it
            for part in group:
                if not part.done.done():
                    part.done.set_exception(error)
        else:
            start = 0
            for part in group:
                if not part.done.done():
                    part.done.set_result(results[start : start + len(part.items)])
                start += len(part.items)
        finally:
            self._waiting = Amount(self._waiting.items - amount.items, self._waiting.size - amount.size)
