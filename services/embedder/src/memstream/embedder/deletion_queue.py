"""Requests to delete, carried out beside the messages: in order per owner, a few owners at once, tenants in turns."""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence

from memstream.embedder.jobs import DeletionRequest
from memstream.vectors.store import Owner

OWNERS_AT_ONCE = 4
"""Owners whose requests are carried out at the same time. Each is one call to Qdrant at a time."""

REQUESTS_AT_ONCE = 100
"""Requests of one owner that are carried out together."""


class DeletionQueue:
    """Hands each owner's requests to `carry_out` in the order they were added.

    Tenants take turns, and so do the owners of a tenant: nobody waits for more than one call of each of the others. One
    of the owners at once is always another tenant's, so that calls that take long delay their own tenant only.
    """

    # The order between a request and the messages in progress doesn't matter. Whoever deletes writes the tombstone
    # first, and what is removed from Qdrant afterwards includes reservations: a message whose reservation was removed
    # can't be stored under it, and one that is reserved later finds the tombstone.

    def __init__(
        self, carry_out: Callable[[Sequence[DeletionRequest]], Awaitable[None]], *, owners_at_once: int = OWNERS_AT_ONCE
    ) -> None:
        self._carry_out = carry_out
        self._owners_at_once = owners_at_once
        self._requests: dict[Owner, deque[DeletionRequest]] = {}
        # Owners that have requests, of which none is being carried out; by tenant.
        self._ready: dict[str, deque[Owner]] = {}
        self._busy: Counter[str] = Counter()
        self._changed = asyncio.Event()
        self._is_closed = False

    def add(self, request: DeletionRequest) -> None:
        """Add a request."""
        requests = self._requests.get(request.owner)
        if requests is None:
            self._requests[request.owner] = deque([request])
            self._make_ready(request.tenant, request.owner)
        else:
            requests.append(request)

    def _make_ready(self, tenant: str, owner: Owner) -> None:
        self._ready.setdefault(tenant, deque()).append(owner)
        self._changed.set()

    async def run(self) -> None:
        """Carry requests out until closed and empty. Cancelled, it leaves what it has."""
        async with asyncio.TaskGroup() as tasks:
            while self._requests or not self._is_closed:
                self._changed.clear()
                tenant = self._next_tenant()
                if tenant is None:
                    await self._changed.wait()
                    continue
                self._busy[tenant] += 1
                tasks.create_task(self._carry_out_for(tenant, self._take_ready(tenant)))

    def close(self) -> None:
        """Let `run` end once nothing is left."""
        self._is_closed = True
        self._changed.set()

    def _next_tenant(self) -> str | None:
        if self._busy.total() >= self._owners_at_once:
            return None
        most = max(1, self._owners_at_once - 1)
        return next((tenant for tenant in self._ready if self._busy[tenant] < most), None)

    def _take_ready(self, tenant: str) -> Owner:
        owners = self._ready.pop(tenant)
        owner = owners.popleft()
        if owners:
            # Behind the other tenants.
            self._ready[tenant] = owners
        return owner

    async def _carry_out_for(self, tenant: str, owner: Owner) -> None:
        waiting = self._requests[owner]
        await self._carry_out([waiting.popleft() for _ in range(min(REQUESTS_AT_ONCE, len(waiting)))])
        self._busy -= Counter((tenant,))
        # The owner was kept in `_requests` meanwhile, so nobody else began with what was added.
        if waiting:
            self._make_ready(tenant, owner)
        else:
            del self._requests[owner]
            self._changed.set()
