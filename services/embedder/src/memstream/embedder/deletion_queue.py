"""Requests to delete, carried out beside the reading: in order per owner, a few owners at once."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from memstream.embedder.jobs import DeletionRequest
from memstream.vectors.store import Owner

OWNERS_AT_ONCE = 4
"""Owners whose requests are carried out at the same time. Each is one call to Qdrant at a time."""

REQUESTS_AT_ONCE = 100
"""Requests of one owner that are carried out together."""


class DeletionQueue:
    """Holds up to `capacity` requests, and hands each owner's to `carry_out` in the order they were added.

    Owners take turns, so that one with many requests doesn't keep the others waiting.
    """

    # The order between a request and the messages in progress doesn't matter. Whoever deletes writes the tombstone
    # first, and what is removed from Qdrant afterwards includes reservations: a message whose reservation was removed
    # can't be stored under it, and one that is reserved later finds the tombstone.

    def __init__(
        self,
        carry_out: Callable[[Sequence[DeletionRequest]], Awaitable[None]],
        *,
        capacity: int,
        owners_at_once: int = OWNERS_AT_ONCE,
    ) -> None:
        self._carry_out = carry_out
        self._room = asyncio.Semaphore(max(1, capacity))
        self._owners_at_once = owners_at_once
        self._requests: dict[Owner, deque[DeletionRequest]] = {}
        # Owners that have requests, of which none is being carried out.
        self._ready: asyncio.Queue[Owner] = asyncio.Queue()
        self._closed = asyncio.Event()

    async def add(self, request: DeletionRequest) -> None:
        """Add a request, as soon as there is room."""
        await self._room.acquire()
        requests = self._requests.get(request.owner)
        if requests is None:
            self._requests[request.owner] = deque([request])
            self._ready.put_nowait(request.owner)
        else:
            requests.append(request)

    async def run(self) -> None:
        """Carry requests out until closed and empty. Cancelled, it leaves what it has."""
        async with asyncio.TaskGroup() as tasks:
            workers = [tasks.create_task(self._work()) for _ in range(self._owners_at_once)]
            await self._closed.wait()
            await self._ready.join()
            for worker in workers:
                worker.cancel()

    def close(self) -> None:
        """Let `run` end once nothing is left."""
        self._closed.set()

    async def _work(self) -> None:
        while True:
            owner = await self._ready.get()
            waiting = self._requests[owner]
            requests = [waiting.popleft() for _ in range(min(REQUESTS_AT_ONCE, len(waiting)))]
            await self._carry_out(requests)
            for _ in requests:
                self._room.release()
            # The owner was kept in `_requests` meanwhile, so nobody else began with what was added.
            if waiting:
                self._ready.put_nowait(owner)
            else:
                del self._requests[owner]
            self._ready.task_done()
