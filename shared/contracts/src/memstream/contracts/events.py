"""The events on the streams. A type carries its version; fields may be added to it, anything else is a new version.

Producers write only what the schema has. Consumers ignore fields they don't know.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from memstream.contracts.ids import Tenant


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    tenant: Tenant
    user_id: str = Field(min_length=1)


class MessageRecorded(_Event):
    """A message was accepted by ingest."""

    type: Literal["message.recorded.v1"] = "message.recorded.v1"
    message_id: str = Field(min_length=1)
    conversation_id: str | None = None
    role: str = "user"
    speaker: str | None = None
    kind: str = "message"
    text: str = Field(min_length=1)
    occurred_at: datetime
    recorded_at: datetime
    metadata: dict[str, Any] = Field(default_factory=dict)


class MessageDeleted(_Event):
    """A message is to be forgotten, wherever it is by now."""

    type: Literal["message.deleted.v1"] = "message.deleted.v1"
    message_id: str = Field(min_length=1)
    erasure_id: str = Field(min_length=1)
    deleted_at: datetime


class UserErased(_Event):
    """All that a user said until now is to be forgotten."""

    type: Literal["user.erased.v1"] = "user.erased.v1"
    erasure_id: str = Field(min_length=1)
    erased_at: datetime


Event = Annotated[MessageRecorded | MessageDeleted | UserErased, Field(discriminator="type")]
"""Any event, told apart by its type."""

EVENTS: tuple[type[_Event], ...] = (MessageRecorded, MessageDeleted, UserErased)

_EVENT: TypeAdapter[MessageRecorded | MessageDeleted | UserErased] = TypeAdapter(Event)


def decode_event(data: bytes) -> MessageRecorded | MessageDeleted | UserErased:
    """Read an event from an entry's data.

    Raises:
        pydantic.ValidationError: it is not UTF-8 JSON, of no known type, or lacks a field.

    """
    return _EVENT.validate_json(data)
