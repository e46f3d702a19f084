"""From what a device posted to the entry that goes on the stream. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from random import Random
from typing import NamedTuple

from pydantic_core import to_json

from memstream.contracts import ids, keys
from memstream.contracts.keys import Lane
from memstream.contracts.messages import MessageIn

EVENT_TYPE = "message.recorded.v1"
"""The type of every entry made here."""

_OWNERS = 8192
"""Users whose place is remembered once it is worked out: those that talk now."""


class Entry(NamedTuple):
    """What is appended for a message."""

    partition: int
    lane: Lane
    message_id: str
    seen_key: str
    """Where it is remembered that the message was appended; no other message of the installation has it."""
    erased_key: str
    """Where its user's erasure is remembered."""
    data: bytes


def size_of(entry: Entry) -> int:
    """Give an entry's bytes, as far as they differ from entry to entry."""
    return len(entry.data)


@dataclass(frozen=True, slots=True)
class Recorder:
    """Gives a message its tenant, its id and its times."""

    partitions: int
    now: Callable[[], datetime]
    chance: Random

    def record(self, message: MessageIn, tenant: str, lane: Lane) -> Entry:
        """Make the entry. A message without an id gets a new one, without a time the present one."""
        now = self.now()
        user_id = message.user_id
        message_id = message.message_id or ids.new_message_id(now, self.chance)
        partition, erased_key = _place(tenant, user_id, self.partitions)
        # A `MessageRecorded`, as it writes itself: a posted message is validated, so it needn't be made for that.
        event = {
            "tenant": tenant,
            "user_id": user_id,
            "type": EVENT_TYPE,
            "message_id": message_id,
            "conversation_id": message.conversation_id,
            "role": message.role,
            "speaker": message.speaker,
            "kind": message.kind,
            "text": message.text,
            "occurred_at": message.occurred_at or now,
            "recorded_at": now,
            "metadata": message.metadata,
        }
        seen_key = keys.seen_by_hex(partition, ids.message_hex(tenant, user_id, message_id))
        return Entry(partition, lane, message_id, seen_key, erased_key, to_json(event))


@lru_cache(_OWNERS)
def _place(tenant: str, user_id: str, partitions: int) -> tuple[int, str]:
    partition = ids.partition(tenant, user_id, partitions)
    return partition, keys.erased_by_hex(partition, ids.owner_hex(tenant, user_id))
