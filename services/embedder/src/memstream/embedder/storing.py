"""From works to outcomes: embeds and stores them, waits out what passes, and finds the one that spoils a batch."""

import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from random import Random
from typing import TypeVar

import numpy as np

from memstream.embedder.forgetting import Forgetting
from memstream.embedder.metrics import EmbedderMetrics
from memstream.embedder.trouble import Trouble
from memstream.embedder.work import Dead, Erased, Forgotten, Left, Order, Outcome, Stored, Work, points_of
from memstream.runtime.backoff import Backoff
from memstream.runtime.clock import Clock
from memstream.runtime.errors import GlobalFault, MemstreamError, Rejected, Unavailable
from memstream.runtime.health import Pulse
from memstream.vectors.collection import StoredPoint
from memstream.vectors.embeddings import Vectors

_log = logging.getLogger(__name__)

ResultT = TypeVar("ResultT")

_LONGEST_WAIT = 60.0
"""Seconds; whoever asks for more is asked again all the same."""


_SUSPICION = 6
"""Failures in a row, after which it is looked at whether the servers fail for everybody or for these texts alone."""


class _OnlyThese(MemstreamError):
    """What is sent fails over and over, though the servers work: it may be what breaks them."""


class Storing:
    """Embeds and stores batches of messages.

    `try_servers` returns when they take what nobody can object to, and raises what is wrong with them; without it,
    every refusal is taken to be about the message. Without `forgetting` nothing is ever deleted.
    """

    def __init__(  # noqa: PLR0913 - what it needs, by name
        self,
        embed: Callable[[Sequence[str]], Awaitable[Vectors]],
        upsert: Callable[[Sequence[StoredPoint]], Awaitable[None]],
        *,
        clock: Clock,
        chance: Random,
        backoff: Backoff,
        trouble: Trouble,
        metrics: EmbedderMetrics,
        pulse: Pulse,
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
        self._texts_per_call = texts_per_call

    async def store(self, works: Sequence[Work]) -> list[Outcome]:
        """Embed and store a batch, and give each message's outcome, in order.

        What passes (a rate limit, an outage) is waited out. A refusal is halved until it stands alone, and condemns
        a message only if the servers take what nobody can object to.
        """
        try:
            vectors = await self._vectors([text for work in works for text in work.texts])
            return await self._keep(works, vectors)
        except (Rejected, _OnlyThese) as error:
            if len(works) > 1:
                middle = len(works) // 2
                return await self.store(works[:middle]) + await self.store(works[middle:])
            return [await self._condemn(works[0], error) if isinstance(error, Rejected) else Left(str(error))]
        except Exception as error:  # noqa: BLE001 - the border of what is known; any other outcome would lose the batch
            _log.exception("no outcome for %d messages", len(works))
            if len(works) == 1:
                return [Left(type(error).__name__)]
            return [outcome for work in works for outcome in await self.store([work])]

    async def _keep(self, works: Sequence[Work], vectors: Vectors) -> list[Outcome]:
        """Upsert what was not deleted meanwhile, and remove what was deleted while that went on."""
        gone = await self._patiently(lambda: self._find_gone(works))
        points: list[StoredPoint] = []
        start = 0
        for work, is_gone in zip(works, gone, strict=True):
            points += [] if is_gone else points_of(work, vectors[start : start + len(work.texts)])
            start += len(work.texts)
        if points:
            with self._metrics.store_seconds.time():
                await self._patiently(lambda: self._upsert(points), suspicious=True)
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

    async def _condemn(self, work: Work, error: Rejected) -> Outcome:
        if self._try_servers is None:
            return Dead(str(error))
        try:
            await self._try_servers()
        except (Unavailable, GlobalFault):
            # They refuse everything, so it isn't the message.
            await self._patiently(self._try_servers)
            return (await self.store([work]))[0]
        return Dead(str(error))

    async def _vectors(self, texts: Sequence[str]) -> Vectors:
        parts: list[Vectors] = []
        for start in range(0, len(texts), self._texts_per_call):
            part = texts[start : start + self._texts_per_call]
            self._metrics.batch_texts.observe(len(part))
            parts.append(await self._patiently(lambda part=part: self._embed_timed(part), suspicious=True))  # type: ignore[misc]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    async def _embed_timed(self, texts: Sequence[str]) -> Vectors:
        with self._metrics.embed_seconds.time():
            return await self._embed(texts)

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
                    raise _OnlyThese(str(error)) from error
                await self._clock.sleep(min(delay, _LONGEST_WAIT))
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
