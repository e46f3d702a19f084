"""Stores embedded messages so that no write that comes late, whoever sent it, brings back what was deleted."""

import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from memstream.embedder.deletions import Tombstone
from memstream.embedder.jobs import EmbeddingJob, Outcome, Stored, Tombstoned, chunks_of
from memstream.embedder.metrics import EmbedderMetrics
from memstream.embedder.retries import Retrier
from memstream.embedder.versions import first_of_each_message, next_version
from memstream.runtime.errors import Rejected
from memstream.vectors.space import Vectors
from memstream.vectors.store import NewToken, NewVersion, Reservation, StoredVersion

_log = logging.getLogger(__name__)

Embed = Callable[[Sequence[EmbeddingJob]], Awaitable[list[Vectors]]]
"""Returns each message's rows, one for each of its texts."""


class Tombstones(Protocol):
    """What is known of deletions."""

    async def find_tombstones(self, jobs: Sequence[EmbeddingJob]) -> list[Tombstone]:
        """Return for each message what is known of its deletion, in order."""
        ...

    async def remove(self, jobs: Sequence[EmbeddingJob]) -> None:
        """Remove what these entries may have stored."""
        ...


class VersionStore(Protocol):
    """The part of a `MemoryStore` by which messages are stored."""

    async def reserve(
        self, reservations: Sequence[Reservation], token: str, now: datetime
    ) -> list[StoredVersion | None]:
        """See `MemoryStore`."""
        ...

    async def fill(self, versions: Sequence[NewVersion], token: str) -> list[bool]:
        """See `MemoryStore`."""
        ...

    async def release(self, reservations: Sequence[Reservation], now: datetime) -> None:
        """See `MemoryStore`."""
        ...


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt to store a message: what is reserved for it, and what was known once it was."""

    token: str
    stored: StoredVersion | None
    tombstone: Tombstone


@dataclass(frozen=True, slots=True)
class EmbeddedJob:
    """A message with the vectors of its texts, and the attempt to store it, if one was begun."""

    job: EmbeddingJob
    rows: Vectors
    attempt: Attempt | None = None


@dataclass(frozen=True, slots=True)
class _Write:
    """What is to be written of a message."""

    index: int
    attempt: Attempt
    job: EmbeddingJob
    rows: Vectors


class FencedStorage:
    """Stores messages in attempts: reserve, look for tombstones, fill.

    A deletion writes its tombstone first and removes what is stored or reserved afterwards. So an attempt whose
    reservation is older than that removal has nothing to fill any more, and one whose reservation is younger finds the
    tombstone. Nobody has to be alive to look a second time.
    """

    def __init__(  # noqa: PLR0913 - its dependencies, by name
        self,
        store: VersionStore,
        tombstones: Tombstones,
        retrying: Retrier,
        metrics: EmbedderMetrics,
        *,
        new_token: NewToken,
        is_input_suspected: Callable[[], Awaitable[bool]],
    ) -> None:
        self._store = store
        self._tombstones = tombstones
        self._retrying = retrying
        self._metrics = metrics
        self._new_token = new_token
        self._is_input_suspected = is_input_suspected

    async def reserve(self, jobs: Sequence[EmbeddingJob]) -> list[Attempt | None]:
        """Begin an attempt for each message, in order; of several versions of a message for the earliest only."""
        attempts: list[Attempt | None] = [None] * len(jobs)
        chosen = first_of_each_message(jobs, range(len(jobs)))
        for index, attempt in zip(chosen, await self._begin([jobs[index] for index in chosen]), strict=True):
            attempts[index] = attempt
        return attempts

    async def release(self, jobs: Sequence[EmbeddingJob]) -> None:
        """Remove what is reserved for messages that are not stored after all."""
        reserved = [_reservation(job) for job in jobs]
        now = self._retrying.clock.now()
        try:
            await self._retrying.until_success(lambda: self._store.release(reserved, now))
        except Rejected as error:
            # It holds no words and is never found, and a deletion removes it.
            _log.error("what is reserved for %d messages stays: %s", len(jobs), error)

    async def store(self, items: Sequence[EmbeddedJob], embed: Embed) -> list[Outcome]:
        """Store messages, and return their outcomes in order. `embed` is called for texts that have to change.

        An attempt that somebody else's has replaced is repeated.

        Raises:
            Rejected, InputSuspected: a server refuses some of them. Doing it again with fewer does no harm.

        """
        jobs = [item.job for item in items]
        attempts = {index: item.attempt for index, item in enumerate(items) if item.attempt is not None}
        outcomes: dict[int, Outcome] = {}
        failures = 0
        while len(outcomes) < len(items):
            chosen = first_of_each_message(jobs, [index for index in range(len(items)) if index not in outcomes])
            missing = [index for index in chosen if index not in attempts]
            attempts.update(zip(missing, await self._begin([jobs[index] for index in missing]), strict=True))
            found = await self._try([(index, items[index], attempts.pop(index)) for index in chosen], embed)
            outcomes.update(found)
            if len(found) < len(chosen):
                # Two workers have the same message: the one that waits less goes first.
                failures += 1
                await self._retrying.clock.sleep(self._retrying.backoff.delay(failures, self._retrying.rng))
        return [outcomes[index] for index in range(len(items))]

    async def _begin(self, jobs: Sequence[EmbeddingJob]) -> list[Attempt]:
        if not jobs:
            return []
        token, stored = await self._retrying.until_success(lambda: self._reserve_once(jobs))
        # Only once the reservation is there: a tombstone that is written later removes it.
        found = await self._retrying.until_success(lambda: self._tombstones.find_tombstones(jobs))
        return [Attempt(token, version, tombstone) for version, tombstone in zip(stored, found, strict=True)]

    async def _reserve_once(self, jobs: Sequence[EmbeddingJob]) -> tuple[str, list[StoredVersion | None]]:
        # A new token for each request: one that failed may still arrive, together with what was sent under its token.
        token, now = self._new_token(), self._retrying.clock.now()
        return token, await self._store.reserve([_reservation(job) for job in jobs], token, now)

    async def _try(self, tries: Sequence[tuple[int, EmbeddedJob, Attempt]], embed: Embed) -> dict[int, Outcome]:
        """Store what is to be stored, and return the outcomes of those attempts that were not replaced."""
        outcomes: dict[int, Outcome] = {}
        writes: list[_Write] = []
        deleted: list[EmbeddingJob] = []
        unneeded: list[EmbeddingJob] = []
        for index, item, attempt in tries:
            version = next_version(item.job, attempt.stored, attempt.tombstone.erased_until)
            if attempt.tombstone.covers_message:
                deleted.append(item.job)
                outcomes[index] = Tombstoned()
            elif version is None:
                unneeded.append(item.job)
                outcomes[index] = Stored()
            else:
                writes.append(_Write(index, attempt, version, item.rows))
        if deleted:
            await self._retrying.until_success(lambda: self._tombstones.remove(deleted))
        if unneeded:
            await self.release(unneeded)
        outcomes.update(dict.fromkeys(await self._fill(writes, {i: item.job for i, item, _ in tries}, embed), Stored()))
        return outcomes

    async def _fill(self, writes: Sequence[_Write], posted: dict[int, EmbeddingJob], embed: Embed) -> list[int]:
        """Write versions, and return the indexes of those that are stored."""
        changed = [write for write in writes if write.job.texts != posted[write.index].texts]
        rows = {write.index: write.rows for write in writes}
        if changed:
            embedded = await embed([write.job for write in changed])
            rows.update(zip((write.index for write in changed), embedded, strict=True))
        by_token: defaultdict[str, list[_Write]] = defaultdict(list)
        for write in writes:
            by_token[write.attempt.token].append(write)
        stored: list[int] = []
        for token, together in by_token.items():
            versions = [_version(write, rows[write.index]) for write in together]
            with self._metrics.store_seconds.time():
                answers = await self._retrying.until_success(
                    lambda versions=versions, token=token: self._store.fill(versions, token),  # type: ignore[misc]
                    is_input_suspected=self._is_input_suspected,
                )
            stored += [write.index for write, is_stored in zip(together, answers, strict=True) if is_stored]
        return stored


def _reservation(job: EmbeddingJob) -> Reservation:
    return Reservation(job.owner, job.message.message_id, len(job.chunks), job.position)


def _version(write: _Write, rows: Vectors) -> NewVersion:
    stored = write.attempt.stored
    replaced = 0 if stored is None else stored.chunks
    return NewVersion(_reservation(write.job), tuple(chunks_of(write.job, rows)), replaced)
