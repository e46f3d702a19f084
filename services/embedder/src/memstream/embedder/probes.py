"""Probes of the servers: whether they take a valid input."""

import asyncio
from collections.abc import Awaitable, Callable

from memstream.runtime.errors import GlobalFault, Rejected
from memstream.vectors.embeddings import DEPENDENCY as EMBEDDINGS
from memstream.vectors.embeddings.metering import MeteredEmbeddings
from memstream.vectors.store import MemoryStore


class ServerProbes:
    """Tries the embeddings server and Qdrant."""

    def __init__(self, store: MemoryStore, embeddings: MeteredEmbeddings) -> None:
        self._store = store
        self._embeddings = embeddings

    async def try_embeddings(self) -> None:
        """Raise unless a word can be embedded.

        Raises:
            GlobalFault: the key, the model or the dimensions are wrong. It would fail for any message.
            Unavailable: the server is out of reach.

        """
        try:
            await self._embeddings.embed(["ready"], "live")
        except Rejected as error:
            raise GlobalFault(EMBEDDINGS, error.reason) from error

    async def try_all(self) -> None:
        """Raise unless the collection is usable and a word can be embedded.

        Raises:
            GlobalFault: a setting or the collection is wrong.
            Unavailable: a server is out of reach.

        """
        await self._store.ensure()
        await self.try_embeddings()


class SharedProbe:
    """One probe for all who ask at the same time. It begins after each of them has asked."""

    def __init__(self, probe: Callable[[], Awaitable[None]]) -> None:
        self._probe = probe
        self._running: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None

    async def __call__(self) -> None:
        """Wait for the next probe, and raise what it raises."""
        if self._next is None:
            self._next = asyncio.create_task(self._run_after(self._running))
        await asyncio.shield(self._next)

    async def _run_after(self, running: asyncio.Task[None] | None) -> None:
        if running is not None:
            await asyncio.wait([running])
        self._running, self._next = self._next, None
        await self._probe()
