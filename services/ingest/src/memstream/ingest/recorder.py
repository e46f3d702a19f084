"""Turns a posted message into the entry that is appended to the stream. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from random import Random
from typing import NamedTuple

from pydantic_core import to_json

from memstream.contracts import ids, keys
from memstream.contracts.events import MessageRecorded
from memstream.contracts.keys import Lane
from memstream.contracts.messages import MessageIn

EVENT_TYPE = "message.recorded.v1"
"""The type of the event."""

_FIELDS = dict.fromkeys(MessageRecorded.model_fields)
"""The event's fields in their order."""

_CACHED_OWNERS = 8192
"""Active users whose partition and key are cached."""


class NewEntry(NamedTuple):
    """The entry of a message."""

    partition: int
    lane: Lane
    message_id: str
    seen_key: str
    """Holds where the message was appended; it is unique within the installation."""
    erased_key: str
    """Holds the tombstone of its user's erasure."""
    data: bytes
    tenant: str = ""
    expiry: tuple[str, str | None] | None = None
    """Of a message that expires, or replaces one that may: the key that says when, and when."""
    replaces: bool = False
    """Whether it is appended even if its id was seen."""


def size_of(entry: NewEntry) -> int:
    """Return the bytes of an entry's data."""
    return len(entry.data)


@dataclass(frozen=True, slots=True)
class Recorder:
    """Adds tenant, id and times to a message."""

    partitions: int
    now: Callable[[], datetime]
    rng: Random

    def record(self, message: MessageIn, tenant: str, lane: Lane, *, replaces: bool = False) -> NewEntry:
        """Return the entry. A message without an id gets a new one; one without a time gets the current time.

        With `replaces` it is a new version of what is stored under its id.
        """
        now = self.now()
        user_id = message.user_id
        message_id = message.message_id or ids.new_message_id(now, self.rng)
        partition, erased_key = _owner_keys(tenant, user_id, self.partitions)
        # The JSON of a `MessageRecorded`, without building the model: the message is validated, and its fields have the
        # names of the event's.
        event = {
            **_FIELDS,
            **vars(message),
            "tenant": tenant,
            "type": EVENT_TYPE,
            "message_id": message_id,
            "occurred_at": message.occurred_at or now,
            "recorded_at": now,
            "replaces": replaces,
        }
        message_hex = ids.message_hex(tenant, user_id, message_id)
        seen_key = keys.seen_by_hex(partition, message_hex)
        expires_at = None if message.expires_at is None else message.expires_at.isoformat()
        expiry = (keys.expiry_by_hex(partition, message_hex), expires_at) if expires_at or replaces else None
        return NewEntry(partition, lane, message_id, seen_key, erased_key, to_json(event), tenant, expiry, replaces)


@lru_cache(_CACHED_OWNERS)
def _owner_keys(tenant: str, user_id: str, partitions: int) -> tuple[int, str]:
    partition = ids.partition(tenant, user_id, partitions)
    return partition, keys.erased_by_hex(partition, ids.owner_hex(tenant, user_id))
