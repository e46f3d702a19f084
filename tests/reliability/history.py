"""What happened in a run, in order, as values that are written to a file of JSON lines and read again."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar


@dataclass(frozen=True, slots=True)
class Sent:
    """A message goes out, for the first time or again."""

    user: str
    message_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to a message that was sent: `unknown` is no answer, or one that leaves open what became of it."""

    user: str
    message_id: str
    outcome: Literal["accepted", "refused", "unknown"]
    position: str = ""
    duplicate: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Searched:
    """A question was answered with these messages."""

    user: str
    hits: Sequence[str]


@dataclass(frozen=True, slots=True)
class Disturbed:
    """Something was done to a part, or a part ended by itself."""

    part: str
    action: Literal["killed", "ended", "ready"]


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
class Told:
    """What the state endpoint says of a message, at the end."""

    user: str
    message_id: str
    state: str


@dataclass(frozen=True, slots=True)
class Buried:
    """A dead letter, at the end."""

    message: str
    reason: str


Record = Sent | Answered | Searched | Disturbed | Found | Told | Buried

_KINDS: dict[str, type[Record]] = {
    kind.__name__: kind for kind in (Sent, Answered, Searched, Disturbed, Found, Told, Buried)
}

RecordT = TypeVar("RecordT", bound=Record)


@dataclass(slots=True)
class History:
    """The records of a run, each with the second it was made."""

    records: list[tuple[float, Record]] = field(default_factory=list)
    now: Callable[[], float] = lambda: 0.0

    def add(self, record: Record) -> None:
        """Append a record."""
        self.records.append((self.now(), record))

    def of(self, kind: type[RecordT]) -> Iterator[RecordT]:
        """Give the records of a kind, in order."""
        return (record for _, record in self.records if isinstance(record, kind))

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
