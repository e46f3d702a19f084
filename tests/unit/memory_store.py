"""A store in memory, for tests of what is above it. It finds by cosine and by words in common."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

from memstream.contracts.keys import Position
from memstream.vectors.space import EmbeddingSpace
from memstream.vectors.store import (
    CandidateQuery,
    Candidates,
    Conditions,
    EmbeddedChunk,
    EndedBy,
    FirstChunks,
    Neighbours,
    NewVersion,
    Owner,
    Record,
    RecordedBefore,
    Reservation,
    Residue,
    StoredMessage,
    StoredVersion,
    Sweepable,
    TimelinePosition,
    Turns,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class InMemoryStore:
    """A `MemoryStore`. What is asked of it can be made to hang, or to fail."""

    def __init__(self) -> None:
        self.chunks: dict[str, EmbeddedChunk] = {}
        self.hangs = False
        self.fails: Exception | None = None
        self.asked = 0
        """How many questions have reached it."""

    def say(self, owner: Owner, *texts: str, vector: Sequence[float] = (1.0, 0.0)) -> None:
        """Store short messages, a minute apart."""
        for number, text in enumerate(texts, len(self.chunks)):
            at = NOON + timedelta(minutes=number)
            message = StoredMessage(
                owner=owner.name, message_id=f"m{number}", text=text, occurred_at=at, recorded_at=at
            )
            self._put(EmbeddedChunk(owner, message, np.array(vector, np.float32), text))

    def _put(self, chunk: EmbeddedChunk) -> None:
        self.chunks[str(chunk.owner.point_id(chunk.message.message_id, chunk.message.chunk))] = chunk

    async def _answer(self) -> None:
        self.asked += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.fails is not None:
            raise self.fails

    async def ensure(self) -> None:
        """See `MemoryStore`."""

    async def check(self) -> None:
        """See `MemoryStore`."""

    async def store(self, chunks: Sequence[EmbeddedChunk]) -> None:
        """See `MemoryStore`."""
        await self._answer()
        for chunk in chunks:
            self._put(chunk)

    async def reserve(
        self, reservations: Sequence[Reservation], token: str, now: datetime
    ) -> list[StoredVersion | None]:
        """See `MemoryStore`. It knows no reservations."""
        raise NotImplementedError((reservations, token, now))

    async def fill(self, versions: Sequence[NewVersion], token: str) -> list[bool]:
        """See `MemoryStore`. It knows no reservations."""
        raise NotImplementedError((versions, token))

    async def release(self, reservations: Sequence[Reservation], now: datetime) -> None:
        """See `MemoryStore`. It knows no reservations."""
        raise NotImplementedError((reservations, now))

    async def release_abandoned(self, before: datetime) -> None:
        """See `MemoryStore`. It knows no reservations."""
        raise NotImplementedError(before)

    async def delete_messages(self, owner: Owner, until: Mapping[str, Position]) -> None:
        """See `MemoryStore`."""
        await self._answer()
        self.chunks = {
            point: chunk
            for point, chunk in self.chunks.items()
            if chunk.owner != owner
            or chunk.message.message_id not in until
            or chunk.message.entry_ms > until[chunk.message.message_id].milliseconds
        }

    async def delete_all(self, owner: Owner, until: Position) -> None:
        """See `MemoryStore`."""
        await self._answer()
        self.chunks = {
            point: chunk
            for point, chunk in self.chunks.items()
            if chunk.owner != owner or chunk.message.entry_ms > until.milliseconds
        }

    async def propose(self, queries: Sequence[CandidateQuery]) -> list[Candidates]:
        """See `MemoryStore`."""
        await self._answer()
        return [self._candidates(query) for query in queries]

    def _candidates(self, question: CandidateQuery) -> Candidates:
        mine = {point: chunk for point, chunk in self.chunks.items() if chunk.owner == question.owner}
        dense = keyword = None
        if question.vector is not None:
            dense = {point: float(chunk.vector @ question.vector) for point, chunk in mine.items()}
        if question.text is not None:
            words = set(question.text.lower().split())
            keyword = {point: float(len(words & set(c.message.text.lower().split()))) for point, c in mine.items()}
        return Candidates({point: chunk.message for point, chunk in mine.items()}, dense, keyword, question.limit)

    async def fetch(
        self, first_chunks: Sequence[FirstChunks], neighbours: Sequence[Neighbours]
    ) -> tuple[list[dict[str, StoredMessage]], list[Turns]]:
        """See `MemoryStore`."""
        await self._answer()
        return [{} for _ in first_chunks], [Turns() for _ in neighbours]

    async def list_from(
        self, owner: Owner, conditions: Conditions, start: TimelinePosition | datetime | None, count: int
    ) -> list[Record]:
        """See `MemoryStore`. It knows no conditions."""
        assert not conditions
        await self._answer()
        records = [Record(point, chunk.message) for point, chunk in self.chunks.items() if chunk.owner == owner]
        records.sort(key=lambda record: TimelinePosition.of(record.id, record.message))
        if isinstance(start, TimelinePosition):
            records = [one for one in records if TimelinePosition.of(one.id, one.message) > start]
        elif start is not None:
            records = [one for one in records if one.message.occurred_at >= start]
        return records[:count]

    async def count_messages(self, owner: Owner, until: Position) -> int:
        """See `MemoryStore`."""
        await self._answer()
        chunks = [chunk.message for chunk in self.chunks.values() if chunk.owner == owner]
        return sum(message.chunk == 0 and message.entry_ms <= until.milliseconds for message in chunks)

    async def find_messages(self, owner: Owner, until: Mapping[str, Position]) -> set[str]:
        """See `MemoryStore`."""
        await self._answer()
        return {
            chunk.message.message_id
            for chunk in self.chunks.values()
            if chunk.owner == owner
            and chunk.message.message_id in until
            and chunk.message.entry_ms <= until[chunk.message.message_id].milliseconds
        }

    async def note_settled(self, milliseconds: int) -> None:
        """See `MemoryStore`."""

    async def residue(self) -> Residue | None:
        """See `MemoryStore`. It has no files."""
        await self._answer()
        return Residue(clean_by=None)

    async def speakers(self, owner: Owner) -> list[str]:
        """See `MemoryStore`."""
        await self._answer()
        return sorted({c.message.speaker for c in self.chunks.values() if c.owner == owner and c.message.speaker})

    async def project(
        self, owner: Owner, target: EmbeddingSpace, *, after: str | None = None, count: int = 1000
    ) -> str | None:
        """See `MemoryStore`. It keeps no second vector."""
        raise NotImplementedError((owner, target, after, count))

    async def sweep(self, which: Sweepable, count: int) -> int:
        """See `MemoryStore`."""
        await self._answer()
        gone = [point for point, chunk in self.chunks.items() if _has_expired(chunk, which)][:count]
        for point in gone:
            del self.chunks[point]
        return len(gone)

    async def count(self, tenant: str) -> int:
        """See `MemoryStore`."""
        await self._answer()
        return sum(chunk.owner.tenant == tenant and chunk.message.chunk == 0 for chunk in self.chunks.values())

    async def aclose(self) -> None:
        """See `MemoryStore`."""


def _has_expired(chunk: EmbeddedChunk, which: Sweepable) -> bool:
    match which:
        case EndedBy(now):
            return chunk.message.expires_at is not None and chunk.message.expires_at <= now
        case RecordedBefore(time, tenants, others):
            return chunk.message.recorded_at < time and (chunk.owner.tenant in tenants) is not others
