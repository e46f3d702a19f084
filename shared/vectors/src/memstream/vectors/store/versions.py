"""Versions of stored messages, and the reservations by which they are stored."""

from dataclasses import dataclass
from typing import Protocol

from memstream.contracts.keys import Position, entry_order
from memstream.vectors.store.messages import EmbeddedChunk, StoredMessage
from memstream.vectors.store.owners import Owner


@dataclass(frozen=True, slots=True)
class Reservation:
    """The chunks of a message that one attempt is about to store."""

    owner: Owner
    message_id: str
    chunks: int
    entry: Position


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """What is stored of a message."""

    first: StoredMessage
    """Its first chunk."""
    chunks: int
    """How many chunk ids are taken, those left over from an older version included."""
    is_complete: bool
    """Whether all its chunks are there, as far as they were reserved."""

    @property
    def text(self) -> str:
        """The whole text."""
        return self.first.full_text or self.first.text

    @property
    def entry(self) -> Position | None:
        """The entry it comes from; None if an older release stored it."""
        return Position.parse(self.first.entry) if self.first.entry else None

    @property
    def order(self) -> tuple[int, int]:
        """Its entry's `Position.order`. Of a version that an older release stored, the earliest it can have been."""
        entry = self.entry
        return (self.first.entry_ms, 0) if entry is None else entry.order

    def is_covered_by(self, erasure_mark: str) -> bool:
        """Return whether an erasure whose entry has this id covers it."""
        return self.order <= entry_order(erasure_mark)


@dataclass(frozen=True, slots=True)
class NewVersion:
    """A message to store, all its chunks, and how many chunk ids the version it replaces has taken."""

    reservation: Reservation
    chunks: tuple[EmbeddedChunk, ...]
    replaced: int = 0


class NewToken(Protocol):
    """Makes tokens of attempts: unguessable, and never the same twice."""

    def __call__(self) -> str:
        """Return a new one."""
        ...
