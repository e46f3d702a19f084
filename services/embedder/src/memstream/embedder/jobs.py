"""An entry, from its delivery to its outcome: decoded, and cut into the texts that are embedded. Pure."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from pydantic import ValidationError

from memstream.contracts import keys
from memstream.contracts.events import MessageDeleted, MessageRecorded, UserErased, decode_event
from memstream.contracts.keys import Lane, Position
from memstream.embedder.chunks import Chunker
from memstream.vectors.space import Vectors, render
from memstream.vectors.store import CONTENT, EmbeddedChunk, Owner, StoredMessage, owner_of


@dataclass(frozen=True, slots=True)
class Delivery:
    """An entry as it was read, and how many times it has been delivered."""

    stream: str
    lane: Lane
    partition: int
    entry_id: str
    fields: Mapping[bytes, bytes]
    attempts: int = 1

    @property
    def name(self) -> tuple[str, str]:
        """Stream and entry id, which no other entry has."""
        return self.stream, self.entry_id

    @property
    def position(self) -> Position:
        """Where the entry is."""
        return Position(self.partition, self.lane, self.entry_id)

    @property
    def size(self) -> int:
        """Bytes of its fields."""
        return sum(len(name) + len(value) for name, value in self.fields.items())


_TYPE = re.compile(r"[a-z_.]{1,100}\.v[0-9]{1,4}")
"""The form of an event's type."""

_LEFT_FOR_NEWER = timedelta(days=1)
"""How long an entry of an unknown type is left for a worker of a newer release: rolling updates are over by then."""

DeadClass = Literal["poison", "unknown"]
"""`poison`: it can't succeed. `unknown`: it was delivered too often without an outcome, for an unknown reason."""


@dataclass(frozen=True, slots=True)
class Stored:
    """All of the message is in Qdrant."""


@dataclass(frozen=True, slots=True)
class Dead:
    """The message can't be stored."""

    reason: str
    dead_class: DeadClass = "poison"


@dataclass(frozen=True, slots=True)
class Pending:
    """There is no outcome yet: the entry stays pending, and is delivered again."""

    reason: str
    is_counted: bool = True
    """Whether this delivery counts as one without an outcome."""


@dataclass(frozen=True, slots=True)
class Tombstoned:
    """The message has a tombstone, or its user's erasure covers it: it is not stored."""


@dataclass(frozen=True, slots=True)
class Deleted:
    """What a request to delete names is gone from Qdrant."""

    erasure_id: str


@dataclass(frozen=True, slots=True)
class Expired:
    """The message's time was over before it was stored, and it replaces none: it is not stored."""


Outcome = Stored | Dead | Pending | Tombstoned | Deleted | Expired


@dataclass(frozen=True, slots=True)
class Settled:
    """An entry, its message as far as it could be decoded, and its outcome."""

    delivery: Delivery
    message: MessageRecorded | None
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class EmbeddingJob:
    """A decoded message, cut into the texts that are embedded."""

    delivery: Delivery
    message: MessageRecorded
    chunks: Sequence[str]
    texts: Sequence[str]
    size: int
    """Bytes of `texts`."""
    was_parked: bool = False
    """It was parked, and other tenants send, too."""

    @property
    def lane(self) -> Lane:
        """As which it is worked on: what a tenant sent beyond its share goes like an import."""
        return "bulk" if self.was_parked else self.delivery.lane

    @property
    def tenant(self) -> str:
        """Whose message it is."""
        return self.message.tenant

    @property
    def owner(self) -> Owner:
        """Whose message it is."""
        return owner_of(self.message.tenant, self.message.user_id)

    @property
    def position(self) -> Position:
        """Where its entry is."""
        return self.delivery.position

    @property
    def is_redelivered(self) -> bool:
        """It was delivered before, without an outcome. It may be what broke the batch it was in."""
        return self.delivery.attempts > 1


@dataclass(frozen=True, slots=True)
class DeletionRequest:
    """A decoded request to delete a message or to erase a user."""

    delivery: Delivery
    event: MessageDeleted | UserErased

    @property
    def tenant(self) -> str:
        """Whose request it is."""
        return self.event.tenant

    @property
    def owner(self) -> Owner:
        """Whose messages it is about."""
        return owner_of(self.event.tenant, self.event.user_id)


QueueName = Literal["live", "bulk", "deletions"]
"""Entries wait in three queues: messages by their lane, and requests to delete."""


@dataclass(frozen=True, slots=True)
class DecodedEntry:
    """An entry and its event, or why it has none."""

    delivery: Delivery
    event: MessageRecorded | MessageDeleted | UserErased | None
    fault: str = ""
    is_of_unknown_type: bool = False
    """It has no event since a newer release may have written it."""
    was_parked: bool = False
    """It was parked, and other tenants send, too."""

    @property
    def tenant(self) -> str:
        """Whose it is, empty if that isn't known."""
        return self.event.tenant if self.event is not None else ""

    @property
    def queue(self) -> QueueName:
        """Where it waits."""
        is_deletion = isinstance(self.event, MessageDeleted | UserErased)
        return "deletions" if is_deletion else self.delivery.lane


def decode(delivery: Delivery) -> DecodedEntry:
    """Return the entry with its event, or with the reason why it has none."""
    try:
        return DecodedEntry(delivery, decode_event(delivery.fields[keys.DATA_FIELD.encode()]))
    except KeyError:
        return DecodedEntry(delivery, None, f"the entry has no field {keys.DATA_FIELD!r}")
    except ValidationError as error:
        # Only the places and kinds of the faults: the text itself must not end up in a log.
        found = error.errors()
        faults = (f"{'.'.join(map(str, fault['loc'])) or 'data'}: {fault['type']}" for fault in found)
        is_unknown = any(
            fault["type"] == "union_tag_invalid" and _TYPE.fullmatch(str(fault["ctx"]["tag"])) for fault in found
        )
        return DecodedEntry(delivery, None, f"not an event: {'; '.join(faults)}"[:500], is_of_unknown_type=is_unknown)


def prepare(
    entry: DecodedEntry, chunker: Chunker, max_deliveries: int, now: Callable[[], datetime]
) -> EmbeddingJob | DeletionRequest | Settled:
    """Return the message cut into chunks, or the request; or the entry's outcome, where neither can be done."""
    delivery, event = entry.delivery, entry.event
    if event is None:
        if entry.is_of_unknown_type and _is_recent(delivery, now()):
            return Settled(delivery, None, Pending(entry.fault, is_counted=False))
        return Settled(delivery, None, Dead(entry.fault))
    if not isinstance(event, MessageRecorded):
        return DeletionRequest(delivery, event)
    outcome = _known_outcome(delivery, event, max_deliveries, now())
    if outcome is not None:
        return Settled(delivery, event, outcome)
    chunks = chunker.split(event.text)
    texts = texts_of(event, chunks)
    size = sum(len(text.encode()) for text in texts)
    return EmbeddingJob(delivery, event, chunks, texts, size, entry.was_parked)


def _is_recent(delivery: Delivery, now: datetime) -> bool:
    # As numbers: an entry's id may be of any time, even one that no calendar has. In the future is not recent either.
    age = now.timestamp() - delivery.position.milliseconds / 1000
    return abs(age) < _LEFT_FOR_NEWER.total_seconds()


def texts_of(message: MessageRecorded, chunks: Sequence[str]) -> list[str]:
    """Return the texts that are embedded of a message, one for each of its chunks."""
    return [
        render(chunk, speaker=message.speaker, role=message.role, occurred_at=message.occurred_at) for chunk in chunks
    ]


def _known_outcome(
    delivery: Delivery, message: MessageRecorded, max_deliveries: int, now: datetime
) -> Dead | Expired | None:
    """Return the outcome of a message that is not to be stored."""
    # A new version is stored even if it is found no more: its older one must not be found any longer either.
    if message.expires_at is not None and message.expires_at <= now and not message.replaces:
        return Expired()
    if not message.text.strip():
        return Dead("the text is blank")
    if delivery.attempts > max_deliveries:
        return Dead(f"delivered {delivery.attempts} times without an outcome", "unknown")
    return None


def chunks_of(job: EmbeddingJob, vectors: Vectors) -> list[EmbeddedChunk]:
    """Return what is to be stored of a message: one a chunk; `vectors` has one row for each."""
    owner = job.owner
    return [
        EmbeddedChunk(owner, _stored(job, owner.name, index), vectors[index], text)
        for index, text in enumerate(job.texts)
    ]


def _stored(job: EmbeddingJob, owner: str, index: int) -> StoredMessage:
    message, position = job.message, job.position
    return StoredMessage(
        owner=owner,
        **{name: getattr(message, name) for name in CONTENT} | {"text": job.chunks[index]},
        full_text=message.text if index == 0 and len(job.chunks) > 1 else None,
        recorded_at=message.recorded_at,
        chunk=index,
        chunks=len(job.chunks),
        entry_ms=position.milliseconds,
        entry_seq=position.order[1],
        entry=str(position),
    )
