"""Vectors of questions: cached, requested once, and requested in batches."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Literal

import numpy as np
import numpy.typing as npt
from cachetools import LRUCache

from memstream.runtime.errors import MemstreamError, Rejected, Unavailable
from memstream.runtime.fair_queue import FairQueue
from memstream.vectors.embeddings import DEPENDENCY
from memstream.vectors.space import Vectors

Vector = npt.NDArray[np.float32]

Embed = Callable[[Sequence[str]], Awaitable[Vectors]]

Source = Literal["remembered", "shared", "asked"]
"""Where a question's vector comes from: the cache, a call that was already in flight for it, or a call of its own."""

Observe = Callable[[Source], None]
"""Called for every question with the source of its vector."""


def ignore(_source: Source) -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True)
class QueryPolicy:
    """How many vectors are cached, and how many are requested at once."""

    cache_size: int = 10_000
    """Questions whose vectors are cached; the least recently asked are evicted first."""
    texts: int = 64
    """Texts in one call."""
    calls: int = 4
    """Calls in flight at once. While there are fewer, a question does not wait for others to share its call."""


@dataclass(slots=True)
class _PendingQuery:
    """A question whose vector was requested, and how many callers wait for it."""

    vector: "asyncio.Future[Vector]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    waiters: int = 0


class QueryVectors:
    """Looks up the vectors of questions.

    Vectors of recent questions are cached. A vector that was requested already is not requested again. Questions that
    come while all calls are in flight share the next call, without those that no caller waits for any more.
    """

    def __init__(self, embed: Embed, policy: QueryPolicy, observe: Observe = ignore) -> None:
        self._embed = embed
        self._policy = policy
        self._observe = observe
        self._cache: LRUCache[bytes, Vector] = LRUCache(policy.cache_size)
        self._wanted: dict[str, _PendingQuery] = {}
        # A question that several tenants ask stands in the queue for each of them: whose turn comes first takes it.
        self._queue: FairQueue[str, str] = FairQueue()
        self._queued: dict[str, set[str]] = {}
        self._calls: set[asyncio.Task[None]] = set()

    async def get(self, texts: Sequence[str], tenant: str = "") -> list[Vector]:
        """Return a vector for each question. No question may be empty. Tenants take turns in what calls hold.

        Raises:
            Unavailable, GlobalFault, Rejected: the embeddings server failed or refused.

        """
        found = {text: vector for text in texts if (vector := self._recall(text)) is not None}
        missing = list(dict.fromkeys(text for text in texts if text not in found))
        wanted = [self._want(text, tenant) for text in missing]
        try:
            for text, one in zip(missing, wanted, strict=True):
                # Other callers may wait for it too: if this one is cancelled, the call goes on for them.
                found[text] = await asyncio.shield(one.vector)
        finally:
            for one in wanted:
                one.waiters -= 1
        return [found[text] for text in texts]

    def _recall(self, text: str) -> Vector | None:
        vector = self._cache.get(_key(text))
        if vector is not None:
            self._observe("remembered")
        return vector

    def _want(self, text: str, tenant: str) -> _PendingQuery:
        wanted = self._wanted.get(text)
        self._observe("asked" if wanted is None else "shared")
        if wanted is None:
            wanted = self._wanted[text] = _PendingQuery()
            self._queued[text] = set()
        if (tenants := self._queued.get(text)) is not None and tenant not in tenants:
            tenants.add(tenant)
            self._queue.push(tenant, text)
            self._call()
        wanted.waiters += 1
        return wanted

    def _call(self) -> None:
        """Start a call if the limit allows; it takes what is queued when the event loop runs it."""
        if len(self._calls) < self._policy.calls and len(self._queue):
            task = asyncio.create_task(self._ask())
            self._calls.add(task)
            task.add_done_callback(self._finish)

    def _finish(self, task: "asyncio.Task[None]") -> None:
        self._calls.discard(task)
        self._call()

    async def _ask(self) -> None:
        batch: dict[str, _PendingQuery] = {}
        while len(self._queue) and len(batch) < self._policy.texts:
            _, text = self._queue.pop()
            if self._queued.pop(text, None) is None:
                # Another tenant's turn came first.
                continue
            wanted = self._wanted[text]
            if wanted.waiters:
                batch[text] = wanted
            else:
                del self._wanted[text]
        try:
            if batch:
                await self._answer(batch)
        finally:
            for text in batch:
                del self._wanted[text]
            # This changes only those without a vector.
            _fail(batch, Unavailable(DEPENDENCY, "the call was given up"))

    async def _answer(self, batch: dict[str, _PendingQuery]) -> None:
        try:
            vectors = await self._embed(list(batch))
        except Rejected as error:
            if len(batch) == 1:
                _fail(batch, error)
            else:
                # One refused text makes the server refuse the whole call.
                for text, wanted in batch.items():
                    await self._answer({text: wanted})
        except MemstreamError as error:
            _fail(batch, error)
        else:
            for (text, wanted), vector in zip(batch.items(), vectors, strict=True):
                if not wanted.vector.done():
                    wanted.vector.set_result(self._remember(text, vector))

    def _remember(self, text: str, vector: Vector) -> Vector:
        # A row of the answer would keep all of the answer in memory.
        kept = self._cache[_key(text)] = vector.copy()
        return kept

    async def aclose(self) -> None:
        """Cancel the calls that are in flight."""
        for task in self._calls:
            task.remove_done_callback(self._finish)
            task.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)


def _key(text: str) -> bytes:
    """Name a question by 128 bits: some are of 8,000 bytes, and would take more room than their vectors."""
    return blake2b(text.encode(), digest_size=16).digest()


def _fail(batch: dict[str, _PendingQuery], error: MemstreamError) -> None:
    for wanted in batch.values():
        if not wanted.vector.done():
            wanted.vector.set_exception(error)
            # Marks the exception as retrieved: maybe no caller waits any more.
            wanted.vector.exception()
