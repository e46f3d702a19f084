"""What can befall hosts, as values; and which of it a run on several hosts gets. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Literal

from hosts import Direction

Server = Literal["redis primary", "redis replica", "qdrant leader", "qdrant follower"]
"""By what it is when the fault begins. Qdrant's leader is the node that orders all writes."""
Place = Server | Literal["service-1", "service-2"]

SERVERS: tuple[Server, ...] = ("redis primary", "redis replica", "qdrant leader", "qdrant follower")


@dataclass(frozen=True, slots=True)
class ServerLost:
    """kill -9 of a server, and started again after some seconds."""

    server: Server
    down: float

    @property
    def kind(self) -> str:
        """What it counts as."""
        return f"{self.server} killed"

    @property
    def name(self) -> str:
        """What it is called."""
        return f"kill -9 of the {self.server}, down for {self.down:.1f} s"


@dataclass(frozen=True, slots=True)
class HostCutOff:
    """All that a host sends, or is sent, is lost for some seconds. Nobody is told."""

    place: Place
    direction: Direction
    seconds: float

    @property
    def kind(self) -> str:
        """What it counts as."""
        return "host cut off" if self.direction == "both" else "host cut off in one direction"

    @property
    def name(self) -> str:
        """What it is called."""
        what = {"both": "cut off", "in": "hears nothing", "out": "is not heard"}[self.direction]
        return f"host of {self.place} {what} for {self.seconds:.1f} s"


@dataclass(frozen=True, slots=True)
class ClockStep:
    """A host's clock is set, and set right after some seconds."""

    place: Place
    ahead: float
    seconds: float
    kind = "clock step"

    @property
    def name(self) -> str:
        """What it is called."""
        return f"clock of the host of {self.place} {self.ahead:+.0f} s for {self.seconds:.1f} s"


@dataclass(frozen=True, slots=True)
class DiskFull:
    """A server's disk has no room for some seconds."""

    server: Server
    seconds: float
    kind = "disk full"

    @property
    def name(self) -> str:
        """What it is called."""
        return f"disk of the {self.server} full for {self.seconds:.1f} s"


@dataclass(frozen=True, slots=True)
class SlowDisk:
    """A server's disk does few writes a second."""

    server: Server
    writes: int
    seconds: float
    kind = "slow disk"

    @property
    def name(self) -> str:
        """What it is called."""
        return f"disk of the {self.server} does {self.writes} writes a second for {self.seconds:.1f} s"


@dataclass(frozen=True, slots=True)
class RollingRestart:
    """All services, or all servers, are restarted, one after the other, each once the one before is back."""

    of: Literal["services", "servers"]

    @property
    def kind(self) -> str:
        """What it counts as."""
        return f"rolling restart of {self.of}"

    @property
    def name(self) -> str:
        """What it is called."""
        return f"rolling restart of all {self.of}"


MachineFault = ServerLost | HostCutOff | ClockStep | DiskFull | SlowDisk | RollingRestart

_IN_TURN = 2


def _seconds(chance: Random) -> float:
    return chance.uniform(2.0, 8.0)


def _place(chance: Random) -> Place:
    return chance.choice((*SERVERS, "service-1", "service-2"))


def _step(chance: Random) -> float:
    """Draw a step that is well below the five minutes for which the receipt for a message that nobody has is kept."""
    return chance.choice((-1, 1)) * chance.choice((2.0, 20.0, 120.0))


_DRAWS: Mapping[str, Callable[[Random], MachineFault]] = {
    "redis primary killed": lambda chance: ServerLost("redis primary", _seconds(chance)),
    "host cut off": lambda chance: HostCutOff(_place(chance), "both", _seconds(chance)),
    "qdrant leader killed": lambda chance: ServerLost("qdrant leader", _seconds(chance)),
    "host cut off in one direction": lambda chance: HostCutOff(
        _place(chance), chance.choice(("in", "out")), _seconds(chance)
    ),
    "rolling restart of services": lambda _: RollingRestart("services"),
    "clock step": lambda chance: ClockStep(
        chance.choice(("redis primary", "redis replica", "service-1", "service-2")), _step(chance), _seconds(chance)
    ),
    "disk full": lambda chance: DiskFull(chance.choice(SERVERS), _seconds(chance)),
    "slow disk": lambda chance: SlowDisk(chance.choice(SERVERS), chance.choice((5, 20, 50)), _seconds(chance)),
    "rolling restart of servers": lambda _: RollingRestart("servers"),
}

MACHINE_KINDS = tuple(_DRAWS)
_BY_CHANCE = [kind for kind in MACHINE_KINDS if not kind.startswith("rolling")]
"""Restarts take minutes on a busy machine."""


def draw_machine_faults(seed: int) -> list[MachineFault]:
    """Draw a run's faults: two kinds in turn, so that five seeds in a row have them all, and one more by chance."""
    chance = Random(f"machine faults {seed}")  # noqa: S311 - nothing secret is made from it
    kinds = [MACHINE_KINDS[(seed * _IN_TURN + turn) % len(MACHINE_KINDS)] for turn in range(_IN_TURN)]
    faults = [_DRAWS[kind](chance) for kind in (*kinds, chance.choice(_BY_CHANCE))]
    chance.shuffle(faults)
    return faults
