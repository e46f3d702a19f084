"""Admission control: how much is processed at once, and who waits for that, fairly over tenants."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from memstream.runtime.deadline import Deadline
from memstream.runtime.errors import Busy, Overloaded, Unavailable
from memstream.runtime.fair_queue import FairQueue

_RETRY_AFTER = 1.0
"""Seconds."""


@dataclass(slots=True, eq=False)
class _Waiter:
    """A request that waits for its permits."""

    permits: int
    admitted: "asyncio.Future[None]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class ConcurrencyLimiter:
    """Hands out so many permits at once, lets so many requests wait for them, and turns the others away.

    More concurrent requests would only increase latency and memory; one that needs much of either takes several
    permits. Tenants get equal shares of the permits: one with a thousand requests delays another's next one by about as
    long as one request takes. Nor can it keep others out of the queue: its own last request gives way to theirs.
    """

    def __init__(self, permits: int, waiting: int, *, waiting_each: int | None = None) -> None:
        """Make it. Of one tenant at most `waiting_each` requests wait; None is no limit of its own."""
        self._permits = permits
        self._free = permits
        self._waiting_each = waiting_each
        self._queue: FairQueue[str, _Waiter] = FairQueue(each=waiting_each, total=waiting)
        self._next: tuple[str, _Waiter] | None = None
        """Whose turn it is, until enough permits are free."""

    @property
    def waiting(self) -> int:
        """How many wait for permits now."""
        return len(self._queue) + (self._next is not None)

    @contextlib.asynccontextmanager
    async def admitted(
        self, deadline: Deadline | None = None, *, tenant: str = "", permits: int = 1
    ) -> AsyncIterator[None]:
        """Hold permits, once they are free: so many, or all there are.

        Raises:
            Overloaded: as many of this tenant's requests wait as may.
            Busy: as many wait as may, or the permits were not free before the deadline.

        """
        wanted = min(permits, self._permits)
        await self._acquire(tenant, wanted, deadline)
        try:
            yield
        finally:
            self._release(wanted)

    async def _acquire(self, tenant: str, permits: int, deadline: Deadline | None) -> None:
        if not self.waiting and permits <= self._free:
            self._free -= permits
            return
        waiter = _Waiter(permits)
        self._enqueue(tenant, waiter)
        try:
            if deadline is None:
                await waiter.admitted
            else:
                async with deadline.enforced("the retriever"):
                    await waiter.admitted
        except BaseException as error:
            self._give_up(tenant, waiter)
            if isinstance(error, Unavailable):
                raise Busy("the retriever", "too many requests are made at once", _RETRY_AFTER) from error
            raise

    def _enqueue(self, tenant: str, waiter: _Waiter) -> None:
        displaced = self._queue.push(tenant, waiter, waiter.permits)
        if displaced is waiter:
            raise self._refusal(tenant)
        # One that was just cancelled still has its place, and needs no answer.
        if displaced is not None and not displaced.admitted.done():
            displaced.admitted.set_exception(Overloaded("others wait too, and with fewer requests", _RETRY_AFTER))
        self._admit()

    def _refusal(self, tenant: str) -> Busy | Overloaded:
        if self._waiting_each is not None and self._queue.waiting(tenant) >= self._waiting_each:
            reason = f"{self._waiting_each} requests of this tenant wait already (searches_waiting_per_tenant)"
            return Overloaded(reason, _RETRY_AFTER)
        return Busy("the retriever", f"{self.waiting} requests wait already", _RETRY_AFTER)

    def _give_up(self, tenant: str, waiter: _Waiter) -> None:
        if self._next is not None and self._next[1] is waiter:
            self._next = None
            self._admit()
        elif not self._queue.remove(tenant, waiter) and _is_admitted(waiter):
            self._release(waiter.permits)

    def _release(self, permits: int) -> None:
        self._free += permits
        self._admit()

    def _admit(self) -> None:
        """Admit those whose turn it is, as far as permits are free. Who needs many is not overtaken while it waits."""
        # One of several permits that has its turn waits beside the queue; the others have theirs in it until the end.
        while self._free and self.waiting:
            if self._next is None:
                self._next = self._queue.pop()
            _, waiter = self._next
            if waiter.permits > self._free:
                return
            self._next = None
            if not waiter.admitted.done():
                self._free -= waiter.permits
                waiter.admitted.set_result(None)


def _is_admitted(waiter: _Waiter) -> bool:
    return waiter.admitted.done() and not waiter.admitted.cancelled() and waiter.admitted.exception() is None
