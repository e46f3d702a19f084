"""Messages, entries and works that tests are made of."""

from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import count
from random import Random
from typing import Any

from unit.manual_clock import START

from memstream.contracts import keys
from memstream.contracts.events import MessageRecorded
from memstream.contracts.keys import Lane
from memstream.embedder.deletions import Tombstone
from memstream.embedder.jobs import Delivery, EmbeddingJob
from memstream.embedder.streams import SourceStream
from memstream.vectors.store import EmbeddedChunk, NewVersion, Reservation, StoredVersion

PointKey = tuple[str, str, int]
"""A point's owner, message and chunk."""


class NoTombstones:
    """Nothing was deleted."""

    async def find_tombstones(self, jobs: Sequence[EmbeddingJob]) -> list[Tombstone]:
        """Find none."""
        return [Tombstone()] * len(jobs)

    async def remove(self, jobs: Sequence[EmbeddingJob]) -> None:
        """Remove nothing."""


class FencedPoints:
    """What a store holds, by owner, message and chunk; it reserves and fills as a `MemoryStore` does."""

    def __init__(self) -> None:
        self.chunks: dict[PointKey, EmbeddedChunk] = {}
        self.tokens: dict[PointKey, str] = {}
        """Of the attempts that reserved points last."""

    async def reserve(
        self, reservations: Sequence[Reservation], token: str, now: datetime
    ) -> list[StoredVersion | None]:
        """See `MemoryStore`."""
        assert now.tzinfo is not None
        for one in reservations:
            self.tokens.update(dict.fromkeys(_points(one, one.chunks), token))
        return [self._version(one) for one in reservations]

    def _version(self, one: Reservation) -> StoredVersion | None:
        found = [self.chunks[point] for point in _points(one, one.chunks) if point in self.chunks]
        if not found or found[0].message.chunk:
            return None
        first = found[0].message
        is_complete = len(found) == first.chunks == one.chunks and {c.message.entry for c in found} == {first.entry}
        return StoredVersion(first, first.chunks, is_complete)

    async def fill(self, versions: Sequence[NewVersion], token: str) -> list[bool]:
        """See `MemoryStore`."""
        stored = []
        for one in versions:
            points = _points(one.reservation, len(one.chunks))
            ours = [
                (point, chunk) for point, chunk in zip(points, one.chunks, strict=True) if self._is_of(point, token)
            ]
            self.chunks.update(ours)
            for point in _points(one.reservation, one.replaced)[len(one.chunks) :]:
                self.chunks.pop(point, None)
            stored.append(len(ours) == len(points))
        return stored

    def _is_of(self, point: PointKey, token: str) -> bool:
        return self.tokens.get(point) == token

    async def release(self, reservations: Sequence[Reservation], now: datetime) -> None:
        """See `MemoryStore`."""
        assert now.tzinfo is not None
        for one in reservations:
            for point in _points(one, one.chunks):
                if point not in self.chunks:
                    self.tokens.pop(point, None)

    def delete(self, reservation: Reservation) -> None:
        """Delete a message, and what is reserved for it."""
        for point in _points(reservation, max(reservation.chunks, 100)):
            self.chunks.pop(point, None)
            self.tokens.pop(point, None)


def _points(one: Reservation, count: int) -> list[PointKey]:
    return [(one.owner.name, one.message_id, number) for number in range(count)]


def tokens() -> Callable[[], str]:
    """Make tokens in order."""
    numbers = count(1)
    return lambda: f"t{next(numbers)}"


def seeded(seed: int = 1) -> Random:
    """Make chance that is the same in every run."""
    return Random(seed)  # noqa: S311 - nothing secret is made from it


def recorded(**fields: Any) -> MessageRecorded:  # noqa: ANN401 - any field of an event
    """Make an event; a field that isn't given has some value."""
    given: dict[str, Any] = {
        "tenant": "acme",
        "user_id": "ana",
        "message_id": "m-1",
        "text": "I left my keys at the gym.",
        "occurred_at": START,
        "recorded_at": START,
        **fields,
    }
    return MessageRecorded(**given)


def entry(data: bytes, *, lane: Lane = "live", entry_id: str = "1-0", attempts: int = 1) -> Delivery:
    """Make the delivery of an entry with this data."""
    fields = {keys.TYPE_FIELD.encode(): b"message.recorded.v1", keys.DATA_FIELD.encode(): data}
    return SourceStream(0, lane).delivery(entry_id, fields, attempts)


def job(  # noqa: PLR0913 - any of them, by name
    name: str = "1-0",
    *,
    lane: Lane = "live",
    attempts: int = 1,
    texts: int = 1,
    size: int | None = None,
    tenant: str = "acme",
) -> EmbeddingJob:
    """Make a message that is ready to be embedded, of so many texts; `size` counts as the bytes of all of them."""
    message = recorded(message_id=name, tenant=tenant)
    parts = [f"{name} part {index}" for index in range(texts)]
    bytes_of_texts = sum(len(part) for part in parts) if size is None else size
    return EmbeddingJob(entry(b"", lane=lane, entry_id=name, attempts=attempts), message, parts, parts, bytes_of_texts)
