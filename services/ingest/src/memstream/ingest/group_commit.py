"""Group commit: one write for all callers of the same moment, fair over their tenants."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from memstream.runtime.errors import MemstreamError, Overloaded
from memstream.runtime.fair_queue import FairQueue

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

_TENANT_SHARE = 2
"""A tenant may hold one part in so many of what may wait, so that what one sends keeps nobody else out."""


@dataclass(frozen=True, slots=True)
class _Part(Generic[ItemT, ResultT]):
    """The items of one caller."""

    tenant: str
    items: Sequence[ItemT]
    amount: Amount
    done: "asyncio.Future[Sequence[ResultT]]"


class GroupCommit(Generic[ItemT, ResultT]):
    """Collects the items that arrive during a write into the next write (DeWitt et al., 1984: group commit).

    `write` takes items and returns a result for each, in order. If it raises, all its callers get the error; if an
    error is among the results, the caller whose item it is of. `weigh`
    returns an item's bytes. A write has at most `limit`, or the items of one caller if those are more. At most
    `waiting_limit` is held until it is written, and at most half of that of one tenant, or the items of one caller if
    nothing else is held. Tenants take turns: a large batch of one delays another's message by one write at most.
    """

    def __init__(
        self,
        write: Callable[[Sequence[ItemT]], Awaitable[Sequence[ResultT | MemstreamError]]],
        weigh: Callable[[ItemT], int],
        *,
        limit: Amount,
        waiting_limit: Amount,
    ) -> None:
        self._write = write
        self._weigh = weigh
        self._limit = limit
        self._waiting_limit = waiting_limit
        self._tenant_limit = Amount(*(most // _TENANT_SHARE for most in waiting_limit))
        self._waiting = _NOTHING
        self._waiting_of: dict[str, Amount] = {}
        self._queue: FairQueue[str, _Part[ItemT, ResultT]] = FairQueue()
        self._next: _Part[ItemT, ResultT] | None = None
        """What has left the queue and did not fit into the last write."""
        self._task: asyncio.Task[None] | None = None

    async def commit(self, items: Sequence[ItemT], tenant: str) -> Sequence[ResultT]:
        """Write a tenant's items together with those of other callers, and return their results.

        If the caller is cancelled, its items are written nevertheless.

        Raises:
            Overloaded: too much is waiting already.
            Exception: whatever `write` raised, or the first error among the results.

        """
        amount = Amount(len(items), sum(map(self._weigh, items)))
        for held, limit in (
            (self._waiting_of.get(tenant, _NOTHING), self._tenant_limit),
            (self._waiting, self._waiting_limit),
        ):
            if held.items and not held.plus(amount).fits(limit):
                raise Overloaded(f"{held.items} messages wait to be written")
        part: _Part[ItemT, ResultT] = _Part(tenant, items, amount, asyncio.get_running_loop().create_future())
        self._queue.push(tenant, part, len(items))
        self._hold(tenant, amount)
        if self._task is None:
            self._task = asyncio.create_task(self._drain())
        return await part.done

    async def _drain(self) -> None:
        try:
            while group := self._next_group():
                await self._write_group(group)
        finally:
            self._task = None

    def _next_group(self) -> list[_Part[ItemT, ResultT]]:
        group: list[_Part[ItemT, ResultT]] = []
        amount = _NOTHING
        while self._next is not None or self._queue:
            part = self._next if self._next is not None else self._queue.pop()[1]
            more = amount.plus(part.amount)
            if group and not more.fits(self._limit):
                self._next = part
                break
            self._next = None
            group.append(part)
            amount = more
        return group

    async def _write_group(self, group: Sequence[_Part[ItemT, ResultT]]) -> None:
        try:
            results = await self._write([item for part in group for item in part.items])
        except Exception as error:  # noqa: BLE001 - every caller gets it
            for part in group:
                if not part.done.done():
                    part.done.set_exception(error)
        else:
            start = 0
            for part in group:
                _settle(part, results[start : start + len(part.items)])
                start += len(part.items)
        finally:
            for part in group:
                self._hold(part.tenant, Amount(-part.amount.items, -part.amount.size))

    def _hold(self, tenant: str, amount: Amount) -> None:
        """Count what waits of a tenant; a negative amount is what waits no longer."""
        self._waiting = self._waiting.plus(amount)
        of_tenant = self._waiting_of.get(tenant, _NOTHING).plus(amount)
        if of_tenant == _NOTHING:
            self._waiting_of.pop(tenant, None)
        else:
            self._waiting_of[tenant] = of_tenant


def _settle(part: _Part[ItemT, ResultT], results: Sequence[ResultT | MemstreamError]) -> None:
    found: list[ResultT] = []
    for result in results:
        if isinstance(result, MemstreamError):
            if not part.done.done():
                part.done.set_exception(result)
            return
        found.append(result)
    if not part.done.done():
        part.done.set_result(found)
