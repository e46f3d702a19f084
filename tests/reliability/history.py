"""What happened in a run, in order, as values that are written to a file of JSON lines and read again."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar


@dataclass(frozen=True, slots=True)
class Sent:
    """A message goes out, for the first time or again; `line` is its place in the call. A bad one has no name."""

    call: int
    line: int
    user: str
    message_id: str
    text: str
    lane: str = "live"
    valid: bool = True


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to a message that was sent.

    `deleted`: it was deleted, and is not taken. `unknown`: no answer, or one that leaves open what became of it; what
    was sent may still have its effect at any time later.
    """

    call: int
    line: int
    user: str
    message_id: str
    outcome: Literal["accepted", "deleted", "refused", "unknown"]
    position: str = ""
    duplicate: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class BatchAnswered:
    """The counts in the answer to a batch."""

    call: int
    accepted: int
    duplicates: int
    rejected: int


@dataclass(frozen=True, slots=True)
class Deleting:
    """The deletion of a message is requested; or, without one, the erasure of a user."""

    call: int
    user: str
    message_id: str | None


@dataclass(frozen=True, slots=True)
class Deleted:
    """The answer to that: the receipt's id, or None if there was no answer."""

    call: int
    erasure_id: str | None


@dataclass(frozen=True, slots=True)
class Asking:
    """The state of a message, or a receipt, is asked for."""

    call: int


@dataclass(frozen=True, slots=True)
class StateRead:
    """What the state endpoint says, and whether all of the message was in Qdrant right after (None: not checked)."""

    call: int
    user: str
    message_id: str
    state: str
    there: bool | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Searched:
    """A search was answered with these messages: id and text of each. `wanted` was searched by a word of its own."""

    user: str
    hits: Sequence[Sequence[str]]
    wanted: str | None = None


@dataclass(frozen=True, slots=True)
class FaultInjected:
    """A fault begins, meets the moment it waits for, ends, or never met it."""

    fault: str
    kind: str
    phase: Literal["begun", "hit", "ended", "missed"]


@dataclass(frozen=True, slots=True)
class Ended:
    """A part ended by itself."""

    part: str
    code: int


@dataclass(frozen=True, slots=True)
class Drained:
    """All faults are repaired and the backlog is processed; what follows is the end of the run."""


@dataclass(frozen=True, slots=True)
class Found:
    """A point in Qdrant, at the end."""

    user: str
    message_id: str
    chunk: int
    chunks: int
    text: str
    """All of the message's text, with the first chunk; else that of the chunk."""


@dataclass(frozen=True, slots=True)
class DeadLettered:
    """A dead letter, at the end. One that names no message has no user."""

    user: str
    message_id: str
    dead_class: str
    reason: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a receipt says, at the end."""

    erasure_id: str
    scope: str
    state: str


@dataclass(frozen=True, slots=True)
class Verified:
    """What a receipt says while faults are about; and, if it says done, what is there right after of what it names."""

    call: int
    erasure_id: str
    state: str
    left: Sequence[Sequence[str]] = ()
    """Id and text of each message that was found: in Qdrant, and by a search."""


@dataclass(frozen=True, slots=True)
class Length:
    """Entries in a stream, once all is done and the replay window has passed."""

    stream: str
    entries: int


Record = (
    Sent
    | Answered
    | BatchAnswered
    | Deleting
    | Deleted
    | Asking
    | StateRead
    | Searched
    | FaultInjected
    | Ended
    | Drained
    | Found
    | DeadLettered
    | Receipt
    | Verified
    | Length
)

_KINDS: dict[str, type[Record]] = {
    kind.__name__: kind
    for kind in (
        *(Sent, Answered, BatchAnswered, Deleting, Deleted, Asking, StateRead, Searched),
        *(FaultInjected, Ended, Drained, Found, DeadLettered, Receipt, Verified, Length),
    )
}

RecordT = TypeVar("RecordT", bound=Record)


@dataclass(slots=True)
class History:
    """The records of a run, each with the second it was made."""

    records: list[tuple[float, Record]] = field(default_factory=list)
    now: Callable[[], float] = lambda: 0.0
    calls: int = 0

    def add(self, record: Record) -> None:
        """Append a record."""
        self.records.append((self.now(), record))

    def call(self) -> int:
        """Return the number of the next call, by which its answer is recognized."""
        self.calls += 1
        return self.calls

    def of(self, kind: type[RecordT]) -> Iterator[RecordT]:
        """Return the records of a kind, in order."""
        return (record for _, record in self.records if isinstance(record, kind))

    def placed(self, kind: type[RecordT]) -> Iterator[tuple[int, RecordT]]:
        """Return the records of a kind, each with its place in the order of all."""
        return ((place, record) for place, (_, record) in enumerate(self.records) if isinstance(record, kind))

    def write(self, path: Path) -> None:
        """Write it to a file."""
        with path.open("w") as file:
            for at, record in self.records:
                file.write(json.dumps({"at": round(at, 6), "event": type(record).__name__, **asdict(record)}) + "\n")

    @classmethod
    def read(cls, path: Path) -> "History":
        """Read what `write` wrote."""
        history = cls()
        for line in path.read_text().splitlines():
            fields: dict[str, Any] = json.loads(line)
            at = fields.pop("at")
            history.records.append((at, _KINDS[fields.pop("event")](**fields)))
        return history
