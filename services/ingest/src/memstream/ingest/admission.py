"""Admission control: whether a write is accepted, given the backlog and Redis' memory. Pure."""

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple


class Write(Enum):
    """What is to be written. What frees memory, or must not wait, is refused later than the rest.

    Nothing here limits what the services write to end the work in progress.
    """

    UNSEEN_DELETION = "deletions of unknown messages"
    """Costs its sender nothing, so it can't take the room of messages."""
    MESSAGE = "messages"
    """Also a dead letter that is replayed."""
    DELETION = "deletions"
    """Of a message that was posted, or of a user."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The backlog (messages not yet embedded), and how full Redis is (0 to 1; 0 without a limit)."""

    backlog: int
    memory: float


class Crowd(NamedTuple):
    """What waits of all tenants together."""

    fullness: float
    """0 to 1, where new messages of all tenants are refused."""
    messages: int


@dataclass(frozen=True, slots=True)
class Admitted:
    """The write is accepted."""


@dataclass(frozen=True, slots=True)
class LimitReached:
    """A watermark is reached; try again later."""

    reason: str
    retry_after: float


@dataclass(frozen=True, slots=True)
class Unknown:
    """There is no recent reading, so nothing is accepted."""

    reason: str


@dataclass(frozen=True, slots=True)
class Watermarks:
    """The backlog and the memory from which on writes are refused; a reading is valid for `lifetime` seconds."""

    backlog: int
    memory: float
    lifetime: float
    deletion_memory: float = 0.92
    unseen_memory: float = 0.7

    def crowd(self, reading: Reading) -> Crowd:
        """Return how much of what may wait a reading says is waiting."""
        return Crowd(max(reading.backlog / self.backlog, reading.memory / self.memory), reading.backlog)

    def admit(
        self, reading: Reading | None, age: float, write: Write = Write.MESSAGE
    ) -> Admitted | LimitReached | Unknown:
        """Decide by a reading that is `age` seconds old; None if there was none yet."""
        if reading is None or age > self.lifetime:
            return Unknown("the backlog in Redis is not known")
        if write is Write.MESSAGE and reading.backlog >= self.backlog:
            return LimitReached(f"{reading.backlog} messages wait to be embedded, the limit is {self.backlog}", 10.0)
        memory = self._memory_of(write)
        if reading.memory >= memory:
            what = "" if write is Write.MESSAGE else f" for {write.value}"
            return LimitReached(f"Redis is {reading.memory:.0%} full, the limit{what} is {memory:.0%}", 10.0)
        return Admitted()

    def _memory_of(self, write: Write) -> float:
        match write:
            case Write.UNSEEN_DELETION:
                return min(self.unseen_memory, self.memory)
            case Write.MESSAGE:
                return self.memory
            case Write.DELETION:
                return max(self.deletion_memory, self.memory)
