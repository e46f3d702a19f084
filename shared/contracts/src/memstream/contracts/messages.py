"""HTTP bodies of ingest."""

import json
import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
)

from memstream.contracts.ids import SHARED_USER, Id, limits_in_force
from memstream.contracts.keys import Lane
from memstream.contracts.limits import DEFAULT_LIMITS

_METADATA_DEPTH = 8
"""Maximum depth of nesting; Qdrant refuses values that are nested much deeper."""

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]")


def _text(value: str, info: ValidationInfo) -> str:
    limit = limits_in_force(info).text_bytes
    size = len(value.encode())
    if size > limit:
        raise ValueError(f"is {size} bytes of UTF-8, the limit is {limit}")
    if "\0" in value:
        raise ValueError(f"holds a NUL character, at index {value.index(chr(0))}")
    if not value.strip():
        raise ValueError("is blank")
    return value


def written_time(value: object) -> object:
    """Return a time that is written out. A bare number is refused: it could be seconds or milliseconds.

    Raises:
        ValueError: it is not a written time.

    """
    if isinstance(value, datetime) or (isinstance(value, str) and _DATE.match(value)):
        return value
    raise ValueError("is not an RFC 3339 time such as 2026-01-31T09:30:00+01:00")


def _in_utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("has no time zone; write it as 2026-01-31T09:30:00Z or with an offset")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("is outside the years 1 to 9999") from None


def _time(value: datetime, info: ValidationInfo) -> datetime:
    limits = limits_in_force(info)
    if value < limits.earliest:
        raise ValueError(f"is before {limits.earliest:%Y-%m-%d}, the earliest time accepted")
    now = info.context.get("now") if isinstance(info.context, dict) else None
    if isinstance(now, datetime) and value > now + limits.ahead:
        raise ValueError(f"is more than {limits.ahead} ahead of the server's clock")
    return value


def _expiry(value: datetime, info: ValidationInfo) -> datetime:
    limits = limits_in_force(info)
    now = info.context.get("now") if isinstance(info.context, dict) else None
    if value < limits.earliest or (isinstance(now, datetime) and value < now - limits.ahead):
        raise ValueError(f"is more than {limits.ahead} behind the server's clock")
    return value


def check_keys(metadata: dict[str, Any]) -> None:
    """Refuse metadata keys that a filter cannot name.

    Raises:
        ValueError: a key is refused.

    """
    for key in metadata:
        if not key or not key.isprintable() or any(character in key for character in '"\\'):
            raise ValueError(
                f"has the key {key[:40]!r}; a key is printable, not empty, without double quotes or backslashes"
            )


def _check_values(metadata: dict[str, Any], most: int) -> None:
    """Refuse integers that are too large and values that are nested too deeply, or more than `most` values.

    Each level is looked at as a whole, and no value after those that are too many: a body of a megabyte may have
    hundreds of thousands.

    Raises:
        ValueError: they are refused.

    """
    level: list[Any] = [metadata]
    count = 0
    for _ in range(_METADATA_DEPTH):
        inner: list[Any] = []
        for value in level:
            count += len(value)
            if count > most:
                raise ValueError(f"has more than {most} values, and so more bytes than the limit")
            for member in value.values() if isinstance(value, dict) else value:
                if isinstance(member, dict | list):
                    inner.append(member)
                elif isinstance(member, int) and not -(2**63) <= member < 2**63:
                    raise ValueError("holds an integer that does not fit into 64 bits; send it as a string")
        if not inner:
            return
        level = inner
    raise ValueError(f"is nested deeper than {_METADATA_DEPTH}")


def _metadata(value: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
    limits = limits_in_force(info)
    if len(value) > limits.metadata_keys:
        raise ValueError(f"has {len(value)} keys, the limit is {limits.metadata_keys}")
    check_keys(value)
    _check_values(value, limits.metadata_bytes)
    try:
        size = len(json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode())
    except ValueError:
        raise ValueError("holds a number or a string that JSON cannot represent") from None
    if size > limits.metadata_bytes:
        raise ValueError(f"is {size} bytes of JSON, the limit is {limits.metadata_bytes}")
    return value


_BLANK = r"\u0009-\u000d\u001c-\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"

_TEXT_SCHEMA = {
    "type": "string",
    "minLength": 1,
    "maxLength": DEFAULT_LIMITS.text_bytes,
    "pattern": rf"^[^\u0000]*[^\u0000{_BLANK}][^\u0000]*$",
}

METADATA_KEYS_SCHEMA: dict[str, JsonValue] = {
    "minLength": 1,
    "pattern": r'^[^"\\\u0000-\u001f\u007f-\u00a0\u00ad\u2000-\u200f\u2028-\u202f\u205f-\u206f\ufeff]+$',
}
"""Names of properties; `check_keys` refuses some rarer characters, too."""

_METADATA_SCHEMA = {
    "type": "object",
    "maxProperties": DEFAULT_LIMITS.metadata_keys,
    "propertyNames": METADATA_KEYS_SCHEMA,
    "additionalProperties": True,
    "description": f"The caller's own fields: at most {DEFAULT_LIMITS.metadata_bytes} bytes as JSON, nested at most "
    f"{_METADATA_DEPTH} levels deep, integers within 64 bits.",
}

TIME_PATTERN = r"-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})$"
"""The part after the year."""

_OCCURRED_AT_SCHEMA = {
    "type": "string",
    "format": "date-time",
    "pattern": f"^(19|[2-9][0-9])[0-9]{{2}}{TIME_PATTERN}",
}

Text = Annotated[str, StringConstraints(min_length=1, strict=True), AfterValidator(_text), WithJsonSchema(_TEXT_SCHEMA)]
"""What was said: 1 byte to 64 KiB of UTF-8, not blank, no NUL; kept exactly as given."""

Metadata = Annotated[dict[str, Any], AfterValidator(_metadata), WithJsonSchema(_METADATA_SCHEMA)]
"""The caller's own fields: at most 32 keys and 4 KiB as JSON."""

UtcTime = Annotated[datetime, BeforeValidator(written_time), AfterValidator(_in_utc)]
"""A written time with a time zone; kept in UTC."""

OccurredAt = Annotated[UtcTime, AfterValidator(_time), WithJsonSchema(_OCCURRED_AT_SCHEMA)]
"""When it was said: RFC 3339 with a time zone, at most a day ahead; kept in UTC."""


ExpiresAt = Annotated[UtcTime, AfterValidator(_expiry)]
"""When a message ends: RFC 3339 with a time zone, at most a day behind; kept in UTC."""


DOCUMENT = "document"
"""The kind of messages that may be shared by all users of a tenant."""


def _kind(value: str, info: ValidationInfo) -> str:
    if value != DOCUMENT and info.data.get("user_id") == SHARED_USER:
        raise ValueError(f"is {value!r}; what belongs to all users, user_id {SHARED_USER!r}, is of kind {DOCUMENT!r}")
    return value


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MessageContent(BaseModel):
    """What a message holds wherever it goes: in its event, in a hit, in a timeline.

    A new field of a message is added here, with a default, and to `MessageIn`, where it is validated.
    """

    message_id: str
    conversation_id: str | None
    role: str
    speaker: str | None
    kind: str
    text: str
    occurred_at: datetime
    metadata: dict[str, Any]
    expires_at: datetime | None = None
    """From this time on nobody finds it; None: it has no end of its own."""


class MessageIn(_Body):
    """A message as a device posts it."""

    model_config = ConfigDict(
        json_schema_extra={
            "if": {"properties": {"user_id": {"const": SHARED_USER}}},
            "then": {"properties": {"kind": {"const": DOCUMENT}}, "required": ["kind"]},
        }
    )

    user_id: Id = Field(description="`*` for a document that is shared by all users of the tenant.")
    text: Text
    message_id: Id | None = Field(
        default=None,
        description="Send one: posting it again, as after a lost response, then adds nothing. Default: a new one.",
    )
    conversation_id: Id | None = None
    role: Id = "user"
    speaker: Id | None = None
    occurred_at: OccurredAt | None = Field(
        default=None, description="When it was said, at most a day ahead. Default: when ingest accepted it."
    )
    kind: Annotated[Id, AfterValidator(_kind)] = Field(
        default="message", validate_default=True, description="`document` for what may be shared by all users."
    )
    metadata: Metadata = Field(default_factory=dict)
    expires_at: ExpiresAt | None = Field(
        default=None,
        description="From this time on nobody finds the message, and soon after it is removed. At most a day in the "
        "past: devices' clocks differ. Default: it stays as long as its tenant keeps messages.",
    )


class MessagePut(MessageIn):
    """A new version of a message."""

    message_id: Id = Field(description="The message that it replaces. If there is none, it is stored as a new one.")
    occurred_at: OccurredAt | None = Field(
        default=None,
        description="When it was said, at most a day ahead. Default: what the version that it replaces has.",
    )


class BatchIn(_Body):
    """Messages to post at once. Each is a `MessageIn`, accepted or rejected on its own."""

    messages: list[Any] = Field(json_schema_extra={"maxItems": DEFAULT_LIMITS.batch_messages})
    lane: Lane = "live"


class Accepted(BaseModel):
    """A message that is on the stream durably."""

    message_id: str
    position: str = Field(description="Send it with a search as `wait_for`: the response then includes the message.")
    duplicate: bool = Field(description="The message had been posted before; `position` is where it was appended.")
    deleted: bool = Field(
        default=False, description="The message was deleted, and is not accepted again under this id."
    )


class LineError(BaseModel):
    """Why a message of a batch was rejected."""

    code: str
    message: str
    limit: str | None = Field(default=None, description="The tenant's limit that is reached; else missing.")
    retry_after: int | None = Field(default=None, description="Seconds after which to send it again; else missing.")


class AcceptedLine(Accepted):
    """A message of a batch that is on the stream durably."""

    index: int


class RejectedLine(BaseModel):
    """A message of a batch that was rejected."""

    index: int
    error: LineError


class BatchOut(BaseModel):
    """The outcome for each message of a batch, in the order of the request."""

    accepted: int
    duplicates: int
    rejected: int
    results: list[AcceptedLine | RejectedLine]


class ErasureAccepted(BaseModel):
    """A deletion or an erasure that is on the stream durably."""

    erasure_id: str = Field(description="Query the state of the request with it.")


StoreName = Literal["streams", "append_only_file", "snapshots", "qdrant"]
"""Redis' streams, its append-only file and its snapshots; and Qdrant's files."""


class WaitingStore(BaseModel):
    """A store that may still hold bytes of what was deleted, where no request reaches them."""

    store: StoreName
    until: datetime | None = Field(default=None, description="Until when at the latest. Null: that is not known.")


class Erasure(BaseModel):
    """The receipt of the deletion of a message or the erasure of a user."""

    erasure_id: str
    scope: Literal["message", "user"]
    state: Literal["pending", "done", "failed"]
    requested_at: datetime
    done_at: datetime | None = Field(default=None, description="From this time on, no search finds what was deleted.")
    messages: int | None = Field(default=None, description="Messages that were removed from Qdrant.")
    stream_entries: int = Field(default=0, description="Entries that were removed from the streams, so far.")
    dead_letters: int = Field(default=0, description="Dead letters that were removed, so far.")
    purged_at: datetime | None = Field(
        default=None, description="When all entries and dead letters had been removed from the streams."
    )
    waiting: list[WaitingStore] = Field(
        default=[],
        description="The stores that may still hold bytes of it, until they are compacted. "
        "Empty once each was found to hold none.",
    )


MessageStatus = Literal["queued", "stored", "dead", "deleted", "expired"]
"""`queued`: on the stream. `stored`: searchable. `dead`: in the dead letters. `deleted`: by request. `expired`: its
`expires_at` is over."""


class MessageState(BaseModel):
    """The state of a message."""

    message_id: str
    state: MessageStatus
    position: str
    reason: str | None = Field(default=None, description="Why it could not be stored.")
