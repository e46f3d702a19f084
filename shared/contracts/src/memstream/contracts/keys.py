"""Names of what lies in Redis. Keys of one partition share the hash tag `{p}`, so a script may touch them together."""

import re
from dataclasses import dataclass
from typing import Literal, get_args
from uuid import UUID

Lane = Literal["live", "bulk"]
"""`live` is what somebody just said, `bulk` is an import; an import never delays live messages."""

LANES: tuple[Lane, ...] = get_args(Lane)

GROUP = "embedder"
"""The consumer group of the embedder."""

TYPE_FIELD = "type"
"""Field of a stream entry: the event's type with its version."""

DATA_FIELD = "data"
"""Field of a stream entry: the event as JSON."""

MAX_PARTITIONS = 1024

_POSITION = re.compile(r"(\d{1,4})\.(live|bulk)\.(\d{1,20})-(\d{1,20})", re.ASCII)
_ENTRY = re.compile(r"\d{1,20}-\d{1,20}", re.ASCII)
_ID_PART = 2**64
"""Both numbers of an entry's id are below this."""


def stream(partition: int, lane: Lane) -> str:
    """Name the stream of a partition's lane."""
    return f"memstream:{{{partition}}}:{lane}"


def dead_letters(partition: int) -> str:
    """Name the stream of what can't be stored."""
    return f"memstream:{{{partition}}}:dead"


def seen(partition: int, message: UUID) -> str:
    """Name the key that remembers where a message was first appended, and what became of it (see `Seen`)."""
    return seen_by_hex(partition, message.hex)


def seen_by_hex(partition: int, message: str) -> str:
    """Name the same key, by the hex of the message's UUID."""
    return f"memstream:{{{partition}}}:seen:{message}"


def erased(partition: int, owner: UUID) -> str:
    """Name the key that says up to when a user was erased: the id of the entry in the live lane that asked for it."""
    return erased_by_hex(partition, owner.hex)


def erased_by_hex(partition: int, owner: str) -> str:
    """Name the same key, by the hex of the user's UUID."""
    return f"memstream:{{{partition}}}:erased:{owner}"


def erasure(partition: int, erasure_id: str) -> str:
    """Name the hash that keeps what became of a request to forget."""
    return f"memstream:{{{partition}}}:erasure:{erasure_id}"


def credential(digest: str) -> str:
    """Name the hash that holds what a key may do, by the hex SHA-256 of the key."""
    return f"memstream:credential:{digest}"


def budget(name: str) -> str:
    """Name the hash that holds what may be spent with a provider just now."""
    return f"memstream:budget:{{{name}}}"


def budget_calls(name: str) -> str:
    """Name the sorted set of the calls that are under way there, by the time at which they must have ended."""
    return f"memstream:budget:{{{name}}}:calls"


@dataclass(frozen=True, slots=True)
class Position:
    """Where an event lies: partition, lane and the entry's id in that stream."""

    partition: int
    lane: Lane
    entry_id: str

    def __str__(self) -> str:
        """Write it as clients see it: an opaque string."""
        return f"{self.partition}.{self.lane}.{self.entry_id}"

    @property
    def stream(self) -> str:
        """The stream it lies in."""
        return stream(self.partition, self.lane)

    @property
    def milliseconds(self) -> int:
        """When the entry was appended, by the server's clock."""
        return self.order[0]

    @property
    def order(self) -> tuple[int, int]:
        """The entry's id as two numbers, which compare as the server compares them."""
        return entry_order(self.entry_id)

    @classmethod
    def parse(cls, text: str) -> "Position":
        """Read what `str` wrote.

        Raises:
            ValueError: it is no position.

        """
        match = _POSITION.fullmatch(text)
        if match is None or int(match[1]) >= MAX_PARTITIONS or max(int(match[3]), int(match[4])) >= _ID_PART:
            raise ValueError(f"{text[:80]!r} is not a position that ingest gave out")
        lane: Lane = "live" if match[2] == "live" else "bulk"
        return cls(int(match[1]), lane, f"{match[3]}-{match[4]}")


def entry_order(entry_id: str) -> tuple[int, int]:
    """Turn an entry's id (`milliseconds-sequence`) into numbers that compare as the server compares them."""
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence or 0)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a seen-key says: the first position of a message, and its end if it wasn't stored.

    Written as `<position>`, `<position> dead <entry id in the dead letters>` or `<position> deleted <erasure id>`.
    """

    position: Position
    dead_entry_id: str | None = None
    erasure_id: str | None = None

    def __str__(self) -> str:
        """Write it as it lies in Redis."""
        if self.erasure_id:
            return f"{self.position} deleted {self.erasure_id}"
        return f"{self.position} dead {self.dead_entry_id}" if self.dead_entry_id else str(self.position)

    @classmethod
    def parse(cls, text: str) -> "Seen":
        """Read what `str` wrote.

        Raises:
            ValueError: it is something else.

        """
        match text.split(" "):
            case [position]:
                return cls(Position.parse(position))
            case [position, "dead", entry_id] if _ENTRY.fullmatch(entry_id):
                return cls(Position.parse(position), entry_id)
            case [position, "deleted", erasure_id] if erasure_id:
                return cls(Position.parse(position), erasure_id=erasure_id)
            case _:
                raise ValueError(f"{text[:80]!r} is not what a seen-key holds")


def was_before(mark: str, lane: Lane, entry_id: str) -> bool:
    """Say whether an entry was appended before a mark in the live lane of its partition.

    Within the lane ids tell exactly. Across lanes only their milliseconds can be compared.
    """
    at, entry = entry_order(mark), entry_order(entry_id)
    return entry <= at if lane == "live" else entry[0] <= at[0]
