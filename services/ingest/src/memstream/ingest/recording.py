"""From what a device posted to the entry that goes on the stream. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from random import Random
from uuid import UUID

from memstream.contracts import ids
from memstream.contracts.events import MessageRecorded
from memstream.contracts.keys import Lane
from memstream.contracts.messages import MessageIn


@dataclass(frozen=True, slots=True)
class Entry:
    """What is appended for a message."""

    partition: int
    lane: Lane
    message_id: str
    key: UUID
    """The message's name in the whole installation."""
    owner_key: UUID
    """Its user's."""
    type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Recorder:
    """Gives a message its tenant, its id and its times."""

    partitions: int
    now: Callable[[], datetime]
    chance: Random

    def record(self, message: MessageIn, tenant: str, lane: Lane) -> Entry:
        """Make the entry. A message without an id gets a new one, without a time the present one."""
        now = self.now()
        # A posted message is validated already.
        event = MessageRecorded.model_construct(
            type="message.recorded.v1",
            tenant=tenant,
            user_id=message.user_id,
            message_id=message.message_id or ids.new_message_id(now, self.chance),
            conversation_id=message.conversation_id,
            role=message.role,
            speaker=message.speaker,
            kind=message.kind,
            text=message.text,
            occurred_at=message.occurred_at or now,
            recorded_at=now,
            metadata=message.metadata,
        )
        return Entry(
            partition=ids.partition(tenant, message.user_id, self.partitions),
            lane=lane,
            message_id=event.message_id,
            key=ids.message_key(tenant, message.user_id, event.message_id),
            owner_key=ids.owner_key(tenant, message.user_id),
            type=event.type,
            data=event.model_dump_json().encode(),
        )
