"""The events on the streams.

A type includes its version. Adding a field keeps the version, any other change needs a new one. Producers write
only the fields of the schema. Consumers ignore unknown fields.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from memstream.contracts.ids import Tenant
from memstream.contracts.messages import MessageContent


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    tenant: Tenant
    user_id: str = Field(min_length=1)


class MessageRecorded(MessageContent, _Event):
    """A message was accepted by ingest."""

    type: Literal["message.recorded.v1"] = "message.recorded.v1"
    message_id: str = Field(min_length=1)
    conversation_id: str | None = None
    role: str = "user"
    speaker: str | None = None
    kind: str = "message"
    text: str = Field(min_length=1)
    recorded_at: datetime
    metadata: dict[str, Any] = Field(default_factory=dict)
    replaces: bool = Field(
        default=False, description="It was put: a new version of what is stored under its id, even with the same text."
    )

    @property
    def names_its_time(self) -> bool:
        """Whether the caller said when it was said; otherwise that is when it was recorded."""
        return self.occurred_at != self.recorded_at


class MessageDeleted(_Event):
    """The deletion of a message was requested."""

    type: Literal["message.deleted.v1"] = "message.deleted.v1"
    message_id: str = Field(min_length=1)
    erasure_id: str = Field(min_length=1)
    deleted_at: datetime


class UserErased(_Event):
    """The erasure of a user was requested: of all messages up to this event."""

    type: Literal["user.erased.v1"] = "user.erased.v1"
    erasure_id: str = Field(min_length=1)
    erased_at: datetime


Event = Annotated[MessageRecorded | MessageDeleted | UserErased, Field(discriminator="type")]
"""Any event, by its type."""

EVENTS: tuple[type[_Event], ...] = (MessageRecorded, MessageDeleted, UserErased)

_EVENT: TypeAdapter[MessageRecorded | MessageDeleted | UserErased] = TypeAdapter(Event)


def decode_event(data: bytes) -> MessageRecorded | MessageDeleted | UserErased:
    """Decode an entry's data.

    Raises:
        pydantic.ValidationError: it is not UTF-8 JSON, of no known type, or lacks a field.

    """
    return _EVENT.validate_json(data)
