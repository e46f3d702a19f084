"""From messages to outcomes: embeds and stores batches, and finds the one message that makes a batch fail."""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from memstream.contracts.keys import Lane
from memstream.embedder.jobs import Dead, EmbeddingJob, Outcome, Pending
from memstream.embedder.metrics import EmbedderMetrics
from memstream.embedder.retries import InputSuspected, Retrier
from memstream.embedder.storing import Attempt, EmbeddedJob, FencedStorage, Tombstones, VersionStore
from memstream.runtime.errors import GlobalFault, Rejected, Unavailable
from memstream.vectors.space import Vectors
from memstream.vectors.store import NewToken

_log = logging.getLogger(__name__)

ResultT = TypeVar("ResultT")
ItemT = TypeVar("ItemT")

_UPSERTS: dict[Lane, int] = {"live": 8, "bulk": 2}
"""Batches that are stored at once. An import's batches are large, and few are enough to keep Qdrant busy."""


_PROBE_SECONDS = 0.25
"""How long a probe that the servers took says that they work, for messages that are tried after it."""


@dataclass(frozen=True, slots=True)
class Servers:
    """What a batch needs: the embeddings server and Qdrant."""

    embed: Callable[[Sequence[str], Lane], Awaitable[Vectors]]
    store: VersionStore
    probe: Callable[[], Awaitable[None]] | None = None
    """Returns if they take a valid input, and raises what is wrong otherwise. Without it, they count as working."""
    texts_per_call: int = 128


class BatchProcessor:
    """Embeds and stores batches of messages."""

    def __init__(
        self,
        servers: Servers,
        tombstones: Tombstones,
        retrying: Retrier,
        metrics: EmbedderMetrics,
        *,
        new_token: NewToken,
    ) -> None:
        self._servers = servers
        self._storage = FencedStorage(
            servers.store,
            tombstones,
            retrying,
            metrics,
            new_token=new_token,
            is_input_suspected=self._servers_work,
        )
        self._retrying = retrying
        self._metrics = metrics
        self._worked_at = -math.inf
        """When a probe was last taken, by the monotonic clock; before all times if the last one was not."""
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
        # It costs no time: embedding takes longer.
        reserving = asyncio.create_task(self._reserve(jobs))
        try:
            rows = await self._embed_batch(jobs)
            embedded()
            attempts = await reserving
        finally:
            reserving.cancel()
        if rows is None:
            return None
        outcomes: list[Outcome]
        if isinstance(rows, list):
            items = [EmbeddedJob(*each) for each in zip(jobs, rows, attempts, strict=True)]
            async with self._upserts[jobs[0].lane]:
                outcomes = await self._divided(items, self._keep)
        else:
            outcomes = [rows]
        dead = [job for job, outcome in zip(jobs, outcomes, strict=True) if isinstance(outcome, Dead)]
        if dead:
            await self._storage.release(dead)
        return outcomes

    async def _embed_batch(self, jobs: Sequence[EmbeddingJob]) -> list[Vectors] | Outcome | None:
        """Return each message's rows; the outcome of one that has none; None if that isn't known, of several."""
        if len(jobs) == 1:
            return await self._alone(lambda: self._embed_jobs(jobs))
        try:
            return await self._embed_jobs(jobs)
        except (Rejected, InputSuspected):
            return None
        except Exception:  # noqa: BLE001 - the border of what is known; any other outcome would lose the batch
            _log.exception("no outcome for %d messages", len(jobs))
            return None

    async def _reserve(self, jobs: Sequence[EmbeddingJob]) -> list[Attempt | None]:
        """Begin to store messages. What goes wrong is found again, and dealt with, when they are kept."""
        try:
            return await self._storage.reserve(jobs)
        except Exception as error:  # noqa: BLE001 - the border of what is known; any other outcome would lose the batch
            _log.warning("nothing is reserved for %d messages: %s", len(jobs), type(error).__name__)
            return [None] * len(jobs)

    async def _divided(
        self, items: Sequence[ItemT], attempt: Callable[[Sequence[ItemT]], Awaitable[list[ResultT]]]
    ) -> list[ResultT | Outcome]:
        """Return the result of each item, in order; for those that make the attempt fail, their outcome instead."""
        if len(items) == 1:
            alone = await self._alone(lambda: attempt(items))
            return list(alone) if isinstance(alone, list) else [alone]
        try:
            return list(await attempt(items)) if items else []
        except (Rejected, InputSuspected):
            middle = len(items) // 2
            parts = [items[:middle], items[middle:]]
        except Exception:  # noqa: BLE001 - the border of what is known; any other outcome would lose the batch
            _log.exception("no outcome for %d messages", len(items))
            parts = [[item] for item in items]
        return [result for part in parts for result in await self._divided(part, attempt)]

    async def _alone(self, attempt: Callable[[], Awaitable[list[ResultT]]]) -> list[ResultT] | Outcome:
        """Return the result of an attempt with one message, or the message's outcome.

        It is dead if it is refused between two probes that the servers take: a refusal before they were mended, with a
        probe after that, proves nothing.
        """
        were_working = False
        while True:
            were_working = were_working or self._have_just_worked()
            try:
                return await attempt()
            except Rejected as error:
                if await self._wait_until_working() and were_working:
                    return Dead(str(error))
                were_working = True
            except InputSuspected as error:
                return Pending(str(error))
            except Exception as error:  # noqa: BLE001 - the border of what is known; any other outcome would lose the message
                _log.exception("no outcome for a message")
                return Pending(type(error).__name__)

    async def _wait_until_working(self) -> bool:
        """Wait until the servers take a valid input; return whether they did at once."""
        probe = self._servers.probe
        if probe is None or await self._servers_work():
            return True
        # They refuse everything, so the message is not the cause.
        await self._retrying.until_success(probe)
        self._worked_at = self._retrying.clock.monotonic()
        return False

    def _have_just_worked(self) -> bool:
        is_recent = self._retrying.clock.monotonic() - self._worked_at <= _PROBE_SECONDS
        return self._servers.probe is None or is_recent

    async def _embed_jobs(self, jobs: Sequence[EmbeddingJob]) -> list[Vectors]:
        """Return each message's rows, one for each of its texts."""
        vectors = await self._embed([text for job in jobs for text in job.texts], jobs[0].lane)
        ends = np.cumsum([len(job.texts) for job in jobs])
        return list(np.split(vectors, ends[:-1]))

    async def _keep(self, items: Sequence[EmbeddedJob]) -> list[Outcome]:
        return await self._storage.store(items, self._embed_jobs)

    async def _servers_work(self) -> bool:
        """Return whether the servers are known to take a valid input."""
        if self._servers.probe is None:
            return False
        try:
            await self._servers.probe()
        except (Unavailable, GlobalFault, Rejected):
            self._worked_at = -math.inf
            return False
        self._worked_at = self._retrying.clock.monotonic()
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
