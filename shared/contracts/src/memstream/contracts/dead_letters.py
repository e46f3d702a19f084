"""Bodies of ingest's interface for operators: messages that could not be stored."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from memstream.contracts.keys import MAX_PARTITIONS, entry_order

MAX_IDS = 1_000
"""Dead letters that one request names at the most."""

MAX_LETTERS = 1_000
"""Dead letters of one page at the most."""

_NAME = re.compile(r"(\d{1,4})\.(\d{1,20}-\d{1,20})", re.ASCII)
_ID_PART = 2**64


@dataclass(frozen=True, slots=True)
class LetterName:
    """Where a dead letter lies: partition, and the entry's id among the dead letters of that partition."""

    partition: int
    entry_id: str

    def __str__(self) -> str:
        """Write it as operators see it: an opaque string."""
        return f"{self.partition}.{self.entry_id}"

    @property
    def order(self) -> tuple[int, int, int]:
        """By this, letters of all partitions are in order: when they were written, then where."""
        return *entry_order(self.entry_id), self.partition

    @classmethod
    def parse(cls, text: str) -> "LetterName":
        """Read what `str` wrote.

        Raises:
            ValueError: it is no dead letter's name.

        """
        match = _NAME.fullmatch(text)
        if match is None or int(match[1]) >= MAX_PARTITIONS or max(entry_order(match[2])) >= _ID_PART - 1:
            raise ValueError(f"{text[:80]!r} is not the id of a dead letter")
        return cls(int(match[1]), match[2])


class DeadLetter(BaseModel):
    """A message that could not be stored, without its text. What could not be decoded is null."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    id: str
    partition: int
    dead_class: str | None = Field(
        default=None, alias="class", description="`poison`: it can't succeed. `unknown`: it was tried too often."
    )
    reason: str | None = None
    attempts: int | None = Field(default=None, description="How often it was delivered.")
    stream: str | None = Field(default=None, description="The stream it was on, and goes back to when it is replayed.")
    died_at: datetime = Field(description="When it was moved to the dead letters, by Redis' clock.")
    type: str | None = Field(default=None, description="The event's type.")
    tenant: str | None = None
    user_id: str | None = None
    message_id: str | None = None
    size: int = Field(description="Bytes of the original entry.")


class DeadLetterContent(DeadLetter):
    """A dead letter with what was in it: the event, or its bytes where they are none."""

    event: dict[str, Any] | None = None
    data_base64: str | None = Field(default=None, description="The bytes, when they can't be decoded.")


class DeadLetterPage(BaseModel):
    """Some dead letters, the newest last."""

    letters: list[DeadLetter]
    cursor: str | None = Field(
        description="Hand it in for what follows. Null: nothing does. Even a short or an empty page may have one."
    )


class DeadLetterIds(BaseModel):
    """Which dead letters."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ids: list[Annotated[str, StringConstraints(strict=True, max_length=256)]] = Field(min_length=1, max_length=MAX_IDS)


LetterOutcome = Literal["replayed", "dropped", "deleted", "missing", "refused"]
"""`replayed`: on its stream again. `dropped`: gone for good, as asked, or since a later message has taken its id.
`deleted`: gone for good, since its message or its user was deleted meanwhile. `missing`: no such letter, or not any
more. `refused`: it stays: it holds nothing to replay, or an order to erase a user, which would also erase what was said
since; ask for the erasure again."""


class LetterResult(BaseModel):
    """What became of a dead letter."""

    id: str
    outcome: LetterOutcome


class LetterResults(BaseModel):
    """What became of each dead letter, in the order they were named."""

    results: list[LetterResult]
