"""Whether new messages are taken, given how much waits already. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reading:
    """How much waits to be embedded (messages), and how full Redis is (0 to 1; 0 without a limit)."""

    backlog: int
    memory: float


@dataclass(frozen=True, slots=True)
class Admitted:
    """Take it."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Try again later: there is too much already."""

    reason: str
    retry_after: float


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody knows how much there is, so nothing is taken."""

    reason: str


@dataclass(frozen=True, slots=True)
class Watermarks:
    """Up to where messages are taken; `lifetime` is how many seconds a reading counts."""

    backlog: int
    memory: float
    lifetime: float

    def admit(self, reading: Reading | None, age: float) -> Admitted | Refused | Unknown:
        """Decide by a reading that is `age` seconds old; None when there never was one."""
        if reading is None or age > self.lifetime:
            return Unknown("how much waits in Redis is not known")
        if reading.backlog >= self.backlog:
            return Refused(f"{reading.backlog} messages wait to be embedded, the limit is {self.backlog}", 10.0)
        if reading.memory >= self.memory:
            return Refused(f"Redis is {reading.memory:.0%} full, the limit is {self.memory:.0%}", 10.0)
        return Admitted()
