"""The bytes of unfinished bodies that a process holds, shared fairly by its tenants."""

import asyncio
from collections import Counter

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from memstream.runtime.errors import Overloaded

_HOLD = "memstream.body_hold"
_RETRY_AFTER = 1.0
_WAITING_PART = 4


class BodyBudget:
    """Bounds the bytes of bodies that are held while their rest is awaited.

    A tenant may hold as much as it leaves free for all others, so there is always room for one more tenant. Of `limit`
    bytes, one tenant gets a half, two get a third each, and so on. What waits for room is held as well: about a
    quarter of `limit`, shared in the same way.
    """

    def __init__(self, limit: int, wait: float) -> None:
        self._limit = limit
        self._wait = wait
        self._held: Counter[str] = Counter()
        self._waiting: Counter[str] = Counter()
        self._total = 0
        self._released: asyncio.Event = asyncio.Event()

    async def take(self, tenant: str, size: int) -> None:
        """Take bytes for a tenant, as soon as there is room.

        Raises:
            Overloaded: there was none in time.

        """
        if not self._fits(tenant, size):
            if not self._may_wait(tenant, size):
                raise self._overloaded(tenant)
            self._waiting[tenant] += size
            try:
                async with asyncio.timeout(self._wait):
                    while not self._fits(tenant, size):
                        self._released.clear()
                        await self._released.wait()
            except TimeoutError:
                raise self._overloaded(tenant) from None
            finally:
                self._waiting[tenant] -= size
                if not self._waiting[tenant]:
                    del self._waiting[tenant]
        self._held[tenant] += size
        self._total += size

    def give_back(self, tenant: str, size: int) -> None:
        """Give bytes back."""
        self._total -= size
        self._held[tenant] -= size
        if not self._held[tenant]:
            del self._held[tenant]
        self._released.set()

    def _may_wait(self, tenant: str, size: int) -> bool:
        own, free = self._waiting.get(tenant, 0), self._limit // _WAITING_PART - self._waiting.total()
        return own + size <= free or (not own and free > 0)

    def _overloaded(self, tenant: str) -> Overloaded:
        return Overloaded(
            f"unfinished bodies hold {self._held[tenant]} bytes, the limit (bodies_bytes) is now "
            f"{self._share(tenant)} for each tenant",
            _RETRY_AFTER,
        )

    def _share(self, tenant: str) -> int:
        others = self._total - self._held.get(tenant, 0)
        return (self._limit - others) // 2

    def _fits(self, tenant: str, size: int) -> bool:
        return self._held.get(tenant, 0) + size <= self._share(tenant)


class BodyHold:
    """What one request takes of the budget."""

    def __init__(self, budget: BodyBudget) -> None:
        self._budget = budget
        self._size = 0
        self.tenant = ""
        """Whose request it is; empty before that is known."""

    async def take(self, size: int) -> None:
        """Take bytes as soon as there is room.

        Raises:
            Overloaded: there was none in time.

        """
        await self._budget.take(self.tenant, size)
        self._size += size

    def release(self) -> None:
        """Give everything back."""
        if self._size:
            self._budget.give_back(self.tenant, self._size)
            self._size = 0


class BodyBudgetMiddleware:
    """ASGI middleware: each request takes its body from the budget, and gives it back when it is answered."""

    def __init__(self, app: ASGIApp, budget: BodyBudget) -> None:
        self._app = app
        self._budget = budget

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        hold = scope[_HOLD] = BodyHold(self._budget)
        try:
            await self._app(scope, receive, send)
        finally:
            hold.release()


def hold_of(request: Request) -> BodyHold | None:
    """Return what a request takes of the budget; None if nobody counts."""
    hold = request.scope.get(_HOLD)
    return hold if isinstance(hold, BodyHold) else None
