"""Bodies of ingest's HTTP interface."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationInfo

from memstream.contracts.ids import SHARED_USER, Id, limits_of
from memstream.contracts.keys import Lane

_METADATA_DEPTH = 8
"""Levels; engines refuse to read what is nested much deeper."""

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]")


def _text(value: str, info: ValidationInfo) -> str:
    limit = limits_of(info).text_bytes
    size = len(value.encode())
    if size > limit:
        raise ValueError(f"is {size} bytes of UTF-8, the limit is {limit}")
    if "\0" in value:
        raise ValueError(f"holds a NUL character, at index {value.index(chr(0))}")
    if not value.strip():
        raise ValueError("is blank")
    return value


def written_time(value: object) -> object:
    """Let only times through that are written out: a bare number could be seconds or milliseconds.

    Raises:
        ValueError: it is something else.

    """
    if isinstance(value, datetime) or (isinstance(value, str) and _DATE.match(value)):
        return value
    raise ValueError("is not an RFC 3339 time such as 2026-01-31T09:30:00+01:00")


def _time(value: datetime, info: ValidationInfo) -> datetime:
    limits = limits_of(info)
    if value.tzinfo is None:
        raise ValueError("has no time zone; write it as 2026-01-31T09:30:00Z or with an offset")
    try:
        value = value.astimezone(UTC)
    except OverflowError:
        raise ValueError("is outside the years 1 to 9999") from None
    if value < limits.earliest:
        raise ValueError(f"is before {limits.earliest:%Y-%m-%d}, the earliest time taken")
    now = info.context.get("now") if isinstance(info.context, dict) else None
    if isinstance(now, datetime) and value > now + limits.ahead:
        raise ValueError(f"is more than {limits.ahead} ahead of the server's clock")
    return value


def check_keys(metadata: dict[str, Any]) -> None:
    """Refuse keys of metadata that can't be named in a filter.

    Raises:
        ValueError: there is one.

    """
    for key in metadata:
        if not key or not key.isprintable() or any(character in key for character in '"\\'):
            raise ValueError(
                f"has the key {key[:40]!r}; a key is printable, not empty, without double quote or backslash"
            )


def _whole_numbers(value: object) -> Iterator[int]:
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _whole_numbers(inner)
    elif isinstance(value, int):
        yield value


def _depth(value: object) -> int:
    """Count the levels of a JSON value. It was parsed, so they are few enough to recurse."""
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    return 1 + max(map(_depth, value), default=0) if isinstance(value, list) else 0


def _metadata(value: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
    limits = limits_of(info)
    if len(value) > limits.metadata_keys:
        raise ValueError(f"has {len(value)} keys, the limit is {limits.metadata_keys}")
    check_keys(value)
    if any(not -(2**63) <= number < 2**63 for number in _whole_numbers(value)):
        raise ValueError("holds a whole number that doesn't fit into 64 bits; send it as a text")
    if _depth(value) > _METADATA_DEPTH:
        raise ValueError(f"is nested deeper than {_METADATA_DEPTH}")
    try:
        size = len(json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode())
    except ValueError:
        raise ValueError("holds a number or a text that JSON can't carry") from None
    if size > limits.metadata_bytes:
        raise ValueError(f"is {size} bytes of JSON, the limit is {limits.metadata_bytes}")
    return value


Text = Annotated[str, StringConstraints(min_length=1, strict=True), AfterValidator(_text)]
"""What was said: 1 byte to 64 KiB of UTF-8, not blank, no NUL; kept exactly as given."""

Metadata = Annotated[dict[str, Any], AfterValidator(_metadata)]
"""The caller's own fields: at most 32 keys and 4 KiB as JSON."""

OccurredAt = Annotated[datetime, BeforeValidator(written_time), AfterValidator(_time)]
"""When it was said: RFC 3339 with a time zone, at most a day ahead; kept in UTC."""


DOCUMENT = "document"
"""The kind of what may belong to all users of a tenant."""


def _kind(value: str, info: ValidationInfo) -> str:
    if value != DOCUMENT and info.data.get("user_id") == SHARED_USER:
        raise ValueError(f"is {value!r}; what belongs to all users, user_id {SHARED_USER!r}, is of kind {DOCUMENT!r}")
    return value


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MessageIn(_Body):
    """A message as a device posts it."""

    user_id: Id = Field(description="`*` for a document that belongs to all users of the tenant.")
    text: Text
    message_id: Id | None = Field(
        default=None, description="Give one: posting the same id again, after a lost answer, then adds nothing."
    )
    conversation_id: Id | None = None
    role: Id = "user"
    speaker: Id | None = None
    occurred_at: OccurredAt | None = Field(default=None, description="Default: when ingest took it.")
    kind: Annotated[Id, AfterValidator(_kind)] = Field(
        default="message", validate_default=True, description="`document` for what may belong to all users."
    )
    metadata: Metadata = Field(default_factory=dict)


class BatchIn(_Body):
    """Messages to post at once; each is taken or refused for itself, so they are not typed here."""

    messages: list[Any]
    lane: Lane = "live"


class Accepted(BaseModel):
    """A message is on the stream, durably."""

    message_id: str
    position: str = Field(description="Hand it to a search as `wait_for` to find the message in its answer.")
    duplicate: bool = Field(description="The message was there before; `position` is its first one.")
    deleted: bool = Field(default=False, description="It was deleted, and is not taken again under this id.")


class LineError(BaseModel):
    """Why a message of a batch was refused."""

    code: str
    message: str


class AcceptedLine(Accepted):
    """A message of a batch that is on the stream, durably."""

    index: int


class RejectedLine(BaseModel):
    """A message of a batch that was refused."""

    index: int
    error: LineError


class BatchOut(BaseModel):
    """What became of each message of a batch, in the order they came in."""

    accepted: int
    duplicates: int
    rejected: int
    results: list[AcceptedLine | RejectedLine]


class ErasureAccepted(BaseModel):
    """A request to forget is on the stream, durably."""

    erasure_id: str = Field(description="Ask with it what became of the request.")


class Erasure(BaseModel):
    """What became of a request to forget."""

    erasure_id: str
    scope: Literal["message", "user"]
    state: Literal["pending", "done", "failed"]
    requested_at: datetime
    done_at: datetime | None = Field(default=None, description="From then on no search finds it.")


MessageStatus = Literal["queued", "stored", "dead", "deleted"]
"""`queued`: on the stream. `stored`: searchable. `dead`: in the dead letters. `deleted`: forgotten by request."""


class MessageState(BaseModel):
    """Where a message is."""

    message_id: str
    state: MessageStatus
    position: str
    reason: str | None = Field(default=None, description="Why it is dead.")
