"""From works to outcomes: embeds and stores them, waits out what passes, and finds the one that spoils a batch."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from random import Random
from typing import TypeVar

import numpy as np

from memstream.contracts.keys import Lane
from memstream.embedder.breaker import Breaker
from memstream.embedder.forgetting import Forgetting
from memstream.embedder.metrics import EmbedderMetrics
from memstream.embedder.trouble import Trouble
from memstream.embedder.work import Dead, Erased, Forgotten, Left, Order, Outcome, Stored, Work, chunks_of
from memstream.runtime.backoff import Backoff
from memstream.runtime.clock import Clock
from memstream.runtime.errors import GlobalFault, MemstreamError, Rejected, Throttled, Unavailable
from memstream.runtime.health import Pulse
from memstream.vectors.space import Vectors
from memstream.vectors.store import EmbeddedChunk

_log = logging.getLogger(__name__)

ResultT = TypeVar("ResultT")
ItemT = TypeVar("ItemT")

_LONGEST_WAIT = 60.0
"""Seconds; whoever asks for more is asked again all the same."""


_UPSERTS: dict[Lane, int] = {"live": 8, "bulk": 2}
"""Batches that are stored at once. An import's batches are large, and few are enough to keep Qdrant busy."""

_SUSPICION = 6
"""Failures in a row, after which it is looked at whether the servers fail for everybody or for these texts alone."""


DEAD_LETTERS = "the dead letters"
"""What is in trouble when the breaker is open."""


class _OnlyThese(MemstreamError):
    """What is sent fails over and over, though the servers work: it may be what breaks them."""


class Storing:
    """Embeds and stores batches of messages.

    `try_servers` returns when they take what nobody can object to, and raises what is wrong with them; without it,
    every refusal is taken to be about the message. Without `forgetting` nothing is ever deleted.
    """

    def __init__(  # noqa: PLR0913 - what it needs, by name
        self,
        embed: Callable[[Sequence[str], Lane], Awaitable[Vectors]],
        upsert: Callable[[Sequence[EmbeddedChunk]], Awaitable[None]],
        *,
        clock: Clock,
        chance: Random,
        backoff: Backoff,
        trouble: Trouble,
        metrics: EmbedderMetrics,
        pulse: Pulse,
        breaker: Breaker,
        texts_per_call: int,
        try_servers: Callable[[], Awaitable[None]] | None = None,
        forgetting: Forgetting | None = None,
    ) -> None:
        self._embed = embed
        self._upsert = upsert
        self._try_servers = try_servers
        self._forgetting = forgetting
        self._clock = clock
        self._chance = chance
        self._backoff = backoff
        self._trouble = trouble
        self._metrics = metrics
        self._pulse = pulse
        self._breaker = breaker
        self._texts_per_call = texts_per_call
        self._upserts = {lane: asyncio.Semaphore(number) for lane, number in _UPSERTS.items()}

    async def store(self, works: Sequence[Work], embedded: Callable[[], None] = lambda: None) -> list[Outcome]:
        """Embed and store a batch of one lane, and give each message's outcome, in order.

        What passes (a rate limit, an outage) is waited out. A refusal is halved until it stands alone, and condemns
        a message only if the servers take what nobody can object to. `embedded` is called when the embeddings server
        is not needed any more.
        """
        rows = await self._divided(works, self._embed_works)
        embedded()
        with_rows = [(work, row) for work, row in zip(works, rows, strict=True) if isinstance(row, np.ndarray)]
        async with self._upserts[works[0].delivery.lane]:
            kept = iter(await self._divided(with_rows, self._keep))
        outcomes = [next(kept) if isinstance(row, np.ndarray) else row for row in rows]
        self._breaker.note_stored(sum(isinstance(outcome, Stored) for outcome in outcomes))
        if not self._breaker.is_open:
            self._trouble.clear(DEAD_LETTERS)
        return outcomes

    async def _divided(
        self, items: Sequence[ItemT], attempt: Callable[[Sequence[ItemT]], Awaitable[list[ResultT]]]
    ) -> list[ResultT | Outcome]:
        """Give the result of each item, in order; of those that spoil the attempt, why there is none."""
        parts: Sequence[Sequence[ItemT]] = []
        try:
            return list(await attempt(items)) if items else []
        except (Rejected, _OnlyThese) as error:
            if len(items) > 1:
                middle = len(items) // 2
                parts = [items[:middle], items[middle:]]
            elif isinstance(error, _OnlyThese):
                return [Left(str(error))]
            elif await self._condemns(error):
                return [Dead(str(error))]
            else:
                parts = [items]
        except Exception as error:  # noqa: BLE001 - the border of what is known; any other outcome would lose the batch
            _log.exception("no outcome for %d messages", len(items))
            if len(items) == 1:
                return [Left(type(error).__name__)]
            parts = [[item] for item in items]
        return [result for part in parts for result in await self._divided(part, attempt)]

    async def _condemns(self, error: Rejected) -> bool:
        """Say whether a refusal is about the message; if not, wait until it is worth another try."""
        if self._try_servers is not None:
            try:
                await self._try_servers()
            except (Unavailable, GlobalFault):
                # They refuse everything, so it isn't the message.
                await self._patiently(self._try_servers)
                return False
        return await self.may_bury(str(error))

    async def may_bury(self, reason: str) -> bool:
        """Say whether a message may go to the dead letters now; if not, wait for a while."""
        wait = self._breaker.wait(self._clock.monotonic())
        if wait:
            self._trouble.report(GlobalFault(DEAD_LETTERS, f"most messages would end there, the latest for: {reason}"))
            self._pulse.beat()
            await self._clock.sleep(wait)
        return not wait

    async def _embed_works(self, works: Sequence[Work]) -> list[Vectors]:
        """Give each message the rows of its texts."""
        vectors = await self._vectors([text for work in works for text in work.texts], works[0].delivery.lane)
        ends = np.cumsum([len(work.texts) for work in works])
        return list(np.split(vectors, ends[:-1]))

    async def _keep(self, works_with_rows: Sequence[tuple[Work, Vectors]]) -> list[Outcome]:
        """Upsert what was not deleted meanwhile, and remove what was deleted while that went on."""
        works = [work for work, _ in works_with_rows]
        gone = await self._patiently(lambda: self._find_gone(works))
        chunks = [
            chunk
            for (work, rows), is_gone in zip(works_with_rows, gone, strict=True)
            if not is_gone
            for chunk in chunks_of(work, rows)
        ]
        if chunks:
            with self._metrics.store_seconds.time():
                await self._patiently(lambda: self._upsert(chunks), suspicious=True)
        # Whoever deletes notes it first and removes it then. So what was not noted before the upsert, and is now, may
        # have been stored behind the back of the removal; and what came back may have been stored the first time.
        gone = await self._patiently(lambda: self._find_gone(works))
        deleted = [work for work, is_gone in zip(works, gone, strict=True) if is_gone]
        if deleted and self._forgetting is not None:
            forgetting = self._forgetting
            await self._patiently(lambda: forgetting.remove(deleted))
        return [Erased() if is_gone else Stored() for is_gone in gone]

    async def _find_gone(self, works: Sequence[Work]) -> Sequence[bool]:
        return await self._forgetting.find(works) if self._forgetting is not None else [False] * len(works)

    async def forget(self, order: Order) -> Outcome:
        """Carry out an order to forget, however long that takes."""
        if self._forgetting is not None:
            forgetting = self._forgetting
            try:
                await self._patiently(lambda: forgetting.obey(order))
            except Rejected as error:
                return Dead(str(error))
        return Forgotten(order.event.erasure_id)

    async def _servers_work(self) -> bool:
        if self._try_servers is None:
            return False
        try:
            await self._try_servers()
        except (Unavailable, GlobalFault, Rejected):
            return False
        return True

    async def _vectors(self, texts: Sequence[str], lane: Lane) -> Vectors:
        parts: list[Vectors] = []
        for start in range(0, len(texts), self._texts_per_call):
            part = texts[start : start + self._texts_per_call]
            self._metrics.batch_texts.observe(len(part))
            parts.append(await self._patiently(lambda part=part: self._embed_timed(part, lane), suspicious=True))  # type: ignore[misc]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    async def _embed_timed(self, texts: Sequence[str], lane: Lane) -> Vectors:
        with self._metrics.embed_seconds.time():
            return await self._embed(texts, lane)

    async def _patiently(self, call: Callable[[], Awaitable[ResultT]], *, suspicious: bool = False) -> ResultT:
        """Call until it succeeds or is refused; if `suspicious`, also until it fails again while the servers work."""
        failures = 0
        failed: set[str] = set()
        while True:
            try:
                result = await call()
            except (Unavailable, GlobalFault) as error:
                failures += 1
                failed.add(error.dependency)
                self._trouble.report(error)
                self._metrics.failures.labels(type(error).__name__).inc()
                asked = error.retry_after if isinstance(error, Unavailable) else None
                delay = max(asked or 0.0, self._backoff.delay(failures, self._chance))
                # Waiting for others is progress of ours.
                self._pulse.beat()
                if suspicious and failures % _SUSPICION == 0 and await self._servers_work():
                    # The servers are there; what is left is about these texts.
                    self._overcome(failed)
                    raise _OnlyThese(str(error)) from error
                pause = self._clock.sleep(min(delay, _LONGEST_WAIT))
                if asked or isinstance(error, Throttled):
                    await pause
                else:
                    # Others may find out earlier that it is over.
                    await self._trouble.until_cleared(error.dependency, pause)
            except Rejected:
                # Who refuses one input is there again.
                self._overcome(failed)
                raise
            else:
                self._overcome(failed)
                return result

    def _overcome(self, dependencies: Iterable[str]) -> None:
        for dependency in dependencies:
            self._trouble.clear(dependency)
