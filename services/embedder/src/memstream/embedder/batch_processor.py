"""From messages to outcomes: embeds and stores batches, and finds the one message that makes a batch fail."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np

from memstream.contracts.keys import Lane
from memstream.embedder.jobs import Dead, EmbeddingJob, Outcome, Pending, Stored, Tombstoned, chunks_of
from memstream.embedder.metrics import EmbedderMetrics
from memstream.embedder.retries import InputSuspected, Retrier
from memstream.runtime.errors import GlobalFault, Rejected, Unavailable
from memstream.vectors.space import Vectors
from memstream.vectors.store import EmbeddedChunk

_log = logging.getLogger(__name__)

ResultT = TypeVar("ResultT")
ItemT = TypeVar("ItemT")

_UPSERTS: dict[Lane, int] = {"live": 8, "bulk": 2}
"""Batches that are stored at once. An import's batches are large, and few are enough to keep Qdrant busy."""


@dataclass(frozen=True, slots=True)
class Servers:
    """What a batch needs: the embeddings server and Qdrant."""

    embed: Callable[[Sequence[str], Lane], Awaitable[Vectors]]
    upsert: Callable[[Sequence[EmbeddedChunk]], Awaitable[None]]
    probe: Callable[[], Awaitable[None]] | None = None
    """Returns if they take a valid input, and raises what is wrong otherwise. Without it, they count as working."""
    texts_per_call: int = 128


class Tombstones(Protocol):
    """What is known of deletions."""

    async def find_tombstones(self, jobs: Sequence[EmbeddingJob]) -> list[bool]:
        """Return for each message whether it was deleted, in order."""
        ...

    async def remove(self, jobs: Sequence[EmbeddingJob]) -> None:
        """Remove what these entries may have stored."""
        ...


class BatchProcessor:
    """Embeds and stores batches of messages."""

    def __init__(
        self,
        servers: Servers,
        tombstones: Tombstones,
        retrying: Retrier,
        metrics: EmbedderMetrics,
    ) -> None:
        self._servers = servers
        self._tombstones = tombstones
        self._retrying = retrying
        self._metrics = metrics
        self._upserts = {lane: asyncio.Semaphore(number) for lane, number in _UPSERTS.items()}

    async def store(
        self, jobs: Sequence[EmbeddingJob], embedded: Callable[[], None] = lambda: None
    ) -> list[Outcome] | None:
        """Embed and store a batch of one lane, and return each message's outcome, in order.

        A rate limit or an outage is waited for. A message that is refused is dead if the servers take a valid input.
        `embedded` is called when the embeddings server is not needed any more.

        Returns:
            None if the embeddings server refuses a batch of several messages: each part of it is to be tried by itself.

        """
        rows = await self._embed_batch(jobs)
        embedded()
        if not isinstance(rows, list):
            return [rows] if rows is not None else None
        async with self._upserts[jobs[0].lane]:
            return await self._divided(list(zip(jobs, rows, strict=True)), self._keep)

    async def _embed_batch(self, jobs: Sequence[EmbeddingJob]) -> list[Vectors] | Outcome | None:
        """Return each message's rows; the outcome of one that has none; None if that isn't known, of several."""
        while True:
            try:
                return await self._embed_jobs(jobs)
            except Exception as error:  # noqa: BLE001 - the border of what is known; any other outcome would lose the batch
                if not isinstance(error, Rejected | InputSuspected):
                    _log.exception("no outcome for %d messages", len(jobs))
                if len(jobs) > 1:
                    return None
                if not isinstance(error, Rejected):
                    return Pending(str(error) if isinstance(error, InputSuspected) else type(error).__name__)
                if await self._is_input_refused():
                    return Dead(str(error))

    async def _divided(
        self, items: Sequence[ItemT], attempt: Callable[[Sequence[ItemT]], Awaitable[list[ResultT]]]
    ) -> list[ResultT | Outcome]:
        """Return the result of each item, in order; for those that make the attempt fail, their outcome instead."""
        parts: Sequence[Sequence[ItemT]] = []
        try:
            return list(await attempt(items)) if items else []
        except (Rejected, InputSuspected) as error:
            if len(items) > 1:
                middle = len(items) // 2
                parts = [items[:middle], items[middle:]]
            elif isinstance(error, InputSuspected):
                return [Pending(str(error))]
            elif await self._is_input_refused():
                return [Dead(str(error))]
            else:
                parts = [items]
        except Exception as error:  # noqa: BLE001 - the border of what is known; any other outcome would lose the batch
            _log.exception("no outcome for %d messages", len(items))
            if len(items) == 1:
                return [Pending(type(error).__name__)]
            parts = [[item] for item in items]
        return [result for part in parts for result in await self._divided(part, attempt)]

    async def _is_input_refused(self) -> bool:
        """Return whether the servers take another input than the one they refuse; False once they take one again."""
        probe = self._servers.probe
        if probe is not None:
            try:
                await probe()
            except (Unavailable, GlobalFault):
                # They refuse everything, so the message is not the cause.
                await self._retrying.until_success(probe)
                return False
        return True

    async def _embed_jobs(self, jobs: Sequence[EmbeddingJob]) -> list[Vectors]:
        """Return each message's rows, one for each of its texts."""
        vectors = await self._embed([text for job in jobs for text in job.texts], jobs[0].lane)
        ends = np.cumsum([len(job.texts) for job in jobs])
        return list(np.split(vectors, ends[:-1]))

    async def _keep(self, jobs_with_rows: Sequence[tuple[EmbeddingJob, Vectors]]) -> list[Outcome]:
        """Upsert the messages without a tombstone, and remove those that got one meanwhile."""
        jobs = [job for job, _ in jobs_with_rows]
        is_deleted = await self._find_tombstones(jobs)
        chunks = [
            chunk
            for (job, rows), deleted in zip(jobs_with_rows, is_deleted, strict=True)
            if not deleted
            for chunk in chunks_of(job, rows)
        ]
        if chunks:
            with self._metrics.store_seconds.time():
                await self._retrying.until_success(
                    lambda: self._servers.upsert(chunks), is_input_suspected=self._servers_work
                )
        # A deletion writes the tombstone first and removes from Qdrant afterwards. So what has a tombstone only now may
        # have been stored after that removal; and a redelivered message may have been stored the first time.
        is_deleted = await self._find_tombstones(jobs)
        deleted_jobs = [job for job, deleted in zip(jobs, is_deleted, strict=True) if deleted]
        if deleted_jobs:
            await self._retrying.until_success(lambda: self._tombstones.remove(deleted_jobs))
        return [Tombstoned() if deleted else Stored() for deleted in is_deleted]

    async def _find_tombstones(self, jobs: Sequence[EmbeddingJob]) -> list[bool]:
        return await self._retrying.until_success(lambda: self._tombstones.find_tombstones(jobs))

    async def _servers_work(self) -> bool:
        """Return whether the servers are known to take a valid input."""
        if self._servers.probe is None:
            return False
        try:
            await self._servers.probe()
        except (Unavailable, GlobalFault, Rejected):
            return False
        return True

    async def _embed(self, texts: Sequence[str], lane: Lane) -> Vectors:
        rows: list[Vectors] = []
        for start in range(0, len(texts), self._servers.texts_per_call):
            part = texts[start : start + self._servers.texts_per_call]
            self._metrics.batch_texts.observe(len(part))
            rows.append(
                await self._retrying.until_success(
                    lambda part=part: self._embed_once(part, lane),  # type: ignore[misc]
                    is_input_suspected=self._servers_work,
                )
            )
        return rows[0] if len(rows) == 1 else np.concatenate(rows)

    async def _embed_once(self, texts: Sequence[str], lane: Lane) -> Vectors:
        with self._metrics.embed_seconds.time():
            return await self._servers.embed(texts, lane)
