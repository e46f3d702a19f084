"""Admission control: whether new messages are accepted, given the backlog and Redis' memory. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reading:
    """The backlog (messages not yet embedded), and how full Redis is (0 to 1; 0 without a limit)."""

    backlog: int
    memory: float


@dataclass(frozen=True, slots=True)
class Admitted:
    """New messages are accepted."""


@dataclass(frozen=True, slots=True)
class LimitReached:
    """A watermark is reached; try again later."""

    reason: str
    retry_after: float


@dataclass(frozen=True, slots=True)
class Unknown:
    """There is no recent reading, so no message is accepted."""

    reason: str


@dataclass(frozen=True, slots=True)
class Watermarks:
    """The backlog and the memory from which on messages are refused; a reading is valid for `lifetime` seconds."""

    backlog: int
    memory: float
    lifetime: float

    def admit(self, reading: Reading | None, age: float) -> Admitted | LimitReached | Unknown:
        """Decide by a reading that is `age` seconds old; None if there was none yet."""
        if reading is None or age > self.lifetime:
            return Unknown("the backlog in Redis is not known")
        if reading.backlog >= self.backlog:
            return LimitReached(f"{reading.backlog} messages wait to be embedded, the limit is {self.backlog}", 10.0)
        if reading.memory >= self.memory:
            return LimitReached(f"Redis is {reading.memory:.0%} full, the limit is {self.memory:.0%}", 10.0)
        return Admitted()
