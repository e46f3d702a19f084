"""HTTP bodies of ingest's admin API: messages that could not be stored."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from memstream.contracts.keys import MAX_PARTITIONS, entry_order

MAX_IDS = 1_000
"""Maximum of dead letters in one request."""

MAX_LETTERS = 1_000
"""Maximum of dead letters on one page."""

LETTER_PATTERN = r"^([0-9]{1,3}|10[01][0-9]|102[0-3])\.[0-9]{1,19}-[0-9]{1,19}$"
"""The ids of dead letters, for JSON Schema."""

_NAME = re.compile(r"(\d{1,4})\.(\d{1,20}-\d{1,20})", re.ASCII)
_ID_PART = 2**64


@dataclass(frozen=True, slots=True)
class LetterName:
    """The id of a dead letter: partition, and the entry's id in that partition's stream of dead letters."""

    partition: int
    entry_id: str

    def __str__(self) -> str:
        """Return it as operators see it: an opaque string."""
        return f"{self.partition}.{self.entry_id}"

    @property
    def order(self) -> tuple[int, int, int]:
        """The sort key of letters of all partitions: by time of writing, then by partition."""
        return *entry_order(self.entry_id), self.partition

    @classmethod
    def parse(cls, text: str) -> "LetterName":
        """Parse what `str` returned.

        Raises:
            ValueError: it is not the id of a dead letter.

        """
        match = _NAME.fullmatch(text)
        if match is None or int(match[1]) >= MAX_PARTITIONS or max(entry_order(match[2])) >= _ID_PART - 1:
            raise ValueError(f"{text[:80]!r} is not the id of a dead letter")
        return cls(int(match[1]), match[2])


class DeadLetter(BaseModel):
    """A message that could not be stored, without its text. Fields that could not be decoded are null."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    id: str
    partition: int
    dead_class: str | None = Field(
        default=None,
        alias="class",
        description="`poison`: it cannot succeed. `unknown`: it failed too often, for no known reason.",
    )
    reason: str | None = None
    attempts: int | None = Field(default=None, description="How often it was delivered to a worker.")
    stream: str | None = Field(default=None, description="The stream it came from, and to which a replay returns it.")
    died_at: datetime = Field(description="When it was dead-lettered, by the clock of Redis.")
    type: str | None = Field(default=None, description="The event's type.")
    tenant: str | None = None
    user_id: str | None = None
    message_id: str | None = None
    size: int = Field(description="Bytes of the original entry.")


class DeadLetterContent(DeadLetter):
    """A dead letter with its content: the event, or the bytes if they cannot be decoded."""

    event: dict[str, Any] | None = None
    data_base64: str | None = Field(default=None, description="The bytes, if they cannot be decoded.")


class DeadLetterPage(BaseModel):
    """A page of dead letters, the newest last."""

    letters: list[DeadLetter]
    cursor: str | None = Field(
        description="Request the next page with it; null on the last page. A short page may have a next one."
    )


class DeadLetterIds(BaseModel):
    """The dead letters that a request is about."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ids: list[Annotated[str, StringConstraints(strict=True, max_length=256)]] = Field(min_length=1, max_length=MAX_IDS)


LetterOutcome = Literal["replayed", "dropped", "deleted", "missing", "refused"]
"""`replayed`: it is on its stream again. `dropped`: removed for good, as requested, or because a later message has the
same id. `deleted`: removed for good, because its message was deleted or its user erased meanwhile. `missing`: there is
no such dead letter, or no longer; a deletion takes the letters of its messages along. `refused`: it is kept. It holds
nothing to replay; or it holds the erasure of a user, and a replay would also erase later messages: request the erasure
again instead; or nothing shows that its message was not deleted or posted again since: post the message again."""


class LetterResult(BaseModel):
    """The outcome for a dead letter."""

    id: str
    outcome: LetterOutcome


class LetterResults(BaseModel):
    """The outcome for each dead letter, in the order of the request."""

    results: list[LetterResult]
