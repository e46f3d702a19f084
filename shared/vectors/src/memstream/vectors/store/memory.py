"""The store of all users' messages, as services see it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from memstream.contracts.keys import Position
from memstream.vectors.space import EmbeddingSpace
from memstream.vectors.store.conditions import Conditions
from memstream.vectors.store.expiry import Sweepable
from memstream.vectors.store.messages import EmbeddedChunk, Record, StoredMessage
from memstream.vectors.store.owners import Owner
from memstream.vectors.store.queries import (
    CandidateQuery,
    Candidates,
    FirstChunks,
    Neighbours,
    TimelinePosition,
    Turns,
)
from memstream.vectors.store.versions import NewVersion, Reservation, StoredVersion

DEPENDENCY = "Qdrant"
"""The store's name in errors."""

MAX_SPEAKERS = 100


@dataclass(frozen=True, slots=True)
class Residue:
    """What the store's files hold of deleted messages, where no request reaches it."""

    clean_by: datetime | None
    """Until when, at the latest, they may hold some; None if they hold none."""


class MemoryStore(Protocol):
    """Keeps embedded messages, and finds them by owner alone.

    Each method raises `Unavailable` while the store is out of reach, `GlobalFault` when an operator has to fix it, and
    `Rejected` when it refuses this very input.
    """

    async def ensure(self) -> None:
        """Create what is missing of the store's layout."""
        ...

    async def check(self) -> None:
        """Raise unless the store answers and its collection is there."""
        ...

    async def store(self, chunks: Sequence[EmbeddedChunk]) -> None:
        """Store chunks, overwriting those of the same message and number. They are searchable when this returns.

        A stored chunk that comes from a later entry than all of these stays as it is: its message was posted anew. If
        this call is late, it brings back what was deleted meanwhile: where anybody else writes or deletes, `reserve`
        and `fill` are used instead.
        """
        ...

    async def reserve(
        self, reservations: Sequence[Reservation], token: str, now: datetime
    ) -> list[StoredVersion | None]:
        """Reserve messages' chunks for one attempt to store them, and return what is stored of each, in order.

        A reservation is a placeholder that no search finds, or a mark on a chunk that is stored already. Only the
        attempt that reserved last can `fill`, and a deletion removes reservations too: so an attempt that is late,
        whoever made it, changes nothing. `token` names the attempt; each call needs a new one, also when it repeats
        one that failed. Of two reservations of one message in a call, one is lost.
        """
        ...

    async def fill(self, versions: Sequence[NewVersion], token: str) -> list[bool]:
        """Store messages that were reserved under a token, and return for each whether it is stored, in order.

        All chunks of a message replace all of its older version in one request. They are searchable when this returns.
        Repeating the call with the same token does no harm.
        """
        ...

    async def release(self, reservations: Sequence[Reservation], now: datetime) -> None:
        """Remove the placeholders, made until `now`, of messages that are not stored after all."""
        ...

    async def release_abandoned(self, before: datetime) -> None:
        """Remove all placeholders from before a time: whoever made them is gone."""
        ...

    async def delete_messages(self, owner: Owner, until: Mapping[str, Position]) -> None:
        """Delete messages, all their chunks, as far as they come from entries up to a position.

        `until` has that position for each message id: what was posted again later stays. Messages that are not there
        are passed over.
        """
        ...

    async def delete_all(self, owner: Owner, until: Position) -> None:
        """Delete all of an owner's messages that come from entries up to a position."""
        ...

    async def propose(self, queries: Sequence[CandidateQuery]) -> list[Candidates]:
        """Return the candidates for several queries, in one round trip."""
        ...

    async def fetch(
        self, first_chunks: Sequence[FirstChunks], neighbours: Sequence[Neighbours]
    ) -> tuple[list[dict[str, StoredMessage]], list[Turns]]:
        """Return messages' first chunks by message id, and turns around messages, in one round trip.

        Both are in the order asked. Nothing is asked of the store when both are empty.
        """
        ...

    async def list_from(
        self, owner: Owner, conditions: Conditions, start: TimelinePosition | datetime | None, count: int
    ) -> list[Record]:
        """Return messages in time order, by their first chunks: those after a position, or from a time on."""
        ...

    async def count_messages(self, owner: Owner, until: Position) -> int:
        """Return how many of an owner's messages come from entries up to a position."""
        ...

    async def find_messages(self, owner: Owner, until: Mapping[str, Position]) -> set[str]:
        """Return the ids of those messages that `delete_messages` would delete, expired ones included."""
        ...

    async def note_settled(self, milliseconds: int) -> None:
        """Note in the store that what comes from entries of before this time is in it: snapshots then say it too."""
        ...

    async def residue(self) -> Residue | None:
        """Return what the files hold of deleted messages; None if the store does not tell."""
        ...

    async def speakers(self, owner: Owner) -> list[str]:
        """Return the speakers of an owner's messages, the most frequent first; at most `MAX_SPEAKERS`."""
        ...

    async def project(
        self, owner: Owner, target: EmbeddingSpace, *, after: str | None = None, count: int = 1000
    ) -> str | None:
        """Add the vectors of another space to stored messages, made from those that are stored.

        `target` has the model of the store's own space and a projection of its vectors. At most `count` chunks get
        theirs, in the order of their ids from `after` on; the result is where to go on, None at the end. Doing it again
        writes the same vectors again.
        """
        ...

    async def sweep(self, which: Sweepable, count: int) -> int:
        """Delete up to `count` chunks that have expired, and return how many there were."""
        ...

    async def count(self, tenant: str) -> int:
        """Return how many messages of a tenant are stored, expired ones included until they are swept.

        Points of before the field have no tenant, and are not counted.
        """
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...
