"""What can be done to an installation, as values; and which of it a run gets. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

from provider.faults import FaultName
from reliability.machine_faults import MachineFault
from reliability.points import LATE_WRITES, POINTS, Point

PARTS = ("redis", "qdrant", "embeddings", "ingest-1", "embedder-1", "embedder-2", "retriever-1")
LINKS = (
    ("ingest-1", "redis"),
    *((embedder, server) for embedder in ("embedder-1", "embedder-2") for server in ("redis", "qdrant", "embeddings")),
    *(("retriever-1", server) for server in ("redis", "qdrant", "embeddings")),
)
CLAIM_IDLE = 3.0
"""Seconds after which a worker's messages are anybody's."""

Blow = Literal["kill", "pause", "kill server", "hold"]
"""What is done at a marked point: to the part that asks, or to the one that answers. `hold`: the request is kept back,
the part that asks is killed, and the request goes on after some seconds; without a number, when the run is over."""


@dataclass(frozen=True, slots=True)
class Kill:
    """kill -9, and started again after some seconds."""

    part: str
    down: float = 0.0
    kind = "kill"

    @property
    def name(self) -> str:
        """What it is called."""
        return f"kill -9 {self.part}, down for {self.down:.1f} s"


@dataclass(frozen=True, slots=True)
class Terminate:
    """SIGTERM, and started again."""

    part: str
    kind = "terminate"

    @property
    def name(self) -> str:
        """What it is called."""
        return f"SIGTERM {self.part}"


@dataclass(frozen=True, slots=True)
class Pause:
    """SIGSTOP, and SIGCONT after some seconds."""

    part: str
    seconds: float
    kind = "pause"

    @property
    def name(self) -> str:
        """What it is called."""
        return f"SIGSTOP {self.part} for {self.seconds:.1f} s"


@dataclass(frozen=True, slots=True)
class Storm:
    """The provider answers a share of the calls with 429."""

    share: float
    seconds: float
    kind = "429 storm"

    @property
    def name(self) -> str:
        """What it is called."""
        return f"429 for {self.share:.0%} of the calls, {self.seconds:.1f} s"


@dataclass(frozen=True, slots=True)
class Outage:
    """The provider fails every call."""

    how: FaultName
    seconds: float
    kind = "outage of the provider"

    @property
    def name(self) -> str:
        """What it is called."""
        return f"provider: {self.how} for {self.seconds:.1f} s"


@dataclass(frozen=True, slots=True)
class Cut:
    """Connections between two parts break, and new ones are refused for some seconds."""

    client: str
    server: str
    seconds: float
    kind = "network cut"

    @property
    def name(self) -> str:
        """What it is called."""
        return f"{self.client}>{self.server} cut for {self.seconds:.1f} s"


@dataclass(frozen=True, slots=True)
class Stall:
    """Nothing gets through between two parts for some seconds, and neither is notified; then all of it does, late."""

    client: str
    server: str
    seconds: float
    kind = "network stall"

    @property
    def name(self) -> str:
        """What it is called."""
        return f"{self.client}>{self.server} stalled for {self.seconds:.1f} s"


@dataclass(frozen=True, slots=True)
class Strand:
    """Nothing gets through from a part for some seconds, then kill -9; and then what it had said arrives."""

    client: str
    server: str
    seconds: float
    kind = "stalled, then killed"

    @property
    def name(self) -> str:
        """What it is called."""
        return f"{self.client}>{self.server} stalled for {self.seconds:.1f} s, then kill -9 {self.client}"


@dataclass(frozen=True, slots=True)
class Slow:
    """Everything between two parts is late."""

    client: str
    server: str
    delay: float
    seconds: float
    kind = "slow network"

    @property
    def name(self) -> str:
        """What it is called."""
        return f"{self.client}>{self.server} {self.delay * 1000:.0f} ms late for {self.seconds:.1f} s"


@dataclass(frozen=True, slots=True)
class OldWorker:
    """The second embedder is replaced by one of the previous release, until the end of the run."""

    kind = "old and new worker mixed"

    @property
    def name(self) -> str:
        """What it is called."""
        return "embedder-2 is one of the previous release"


@dataclass(frozen=True, slots=True)
class AtPoint:
    """A blow exactly at a marked point."""

    point: Point
    blow: Blow
    seconds: float = 0.0

    @property
    def kind(self) -> str:
        """What it counts as."""
        return self.point.name

    @property
    def name(self) -> str:
        """What it is called."""
        target = self.point.server if self.blow == "kill server" else self.point.client
        if self.blow == "hold":
            until = f"for {self.seconds:.1f} s" if self.seconds else "until the end"
            return f"{self.point.name}: kept back {until}, and kill -9 of the {target}"
        what = f"SIGSTOP for {self.seconds:.1f} s" if self.blow == "pause" else "kill -9"
        return f"{self.point.name}: {what} of the {target}"


PartFault = Kill | Terminate | Pause | Storm | Outage | Cut | Stall | Strand | Slow | OldWorker | AtPoint
Fault = PartFault | MachineFault

_IN_TURN = 3
_EXTRA = (
    "kill",
    "kill",
    "pause",
    "429 storm",
    "outage of the provider",
    "network cut",
    "network stall",
    "slow network",
)


def draw_faults(seed: int) -> list[Fault]:
    """Draw a run's faults: three kinds in turn, so that a few seeds in a row have them all, and one more by chance."""
    chance = Random(f"faults {seed}")  # noqa: S311 - nothing secret is made from it
    kinds = [KINDS[(seed * _IN_TURN + turn) % len(KINDS)] for turn in range(_IN_TURN)]
    faults = [draw_fault(kind, chance) for kind in (*kinds, chance.choice(_EXTRA))]
    # One that lasts to the end of the run comes first: it would say little at the end.
    chance.shuffle(faults)
    return sorted(faults, key=lambda fault: not isinstance(fault, OldWorker))


def draw_kills(seed: int) -> list[Fault]:
    """Draw an order in which each part is killed once."""
    chance = Random(f"kills {seed}")  # noqa: S311 - same
    return [Kill(part) for part in chance.sample(PARTS, len(PARTS))]


def draw_erasure_faults(seed: int) -> list[Fault]:
    """Draw what befalls workers while users are erased: one write comes late, three kinds in turn, one by chance."""
    chance = Random(f"erasure faults {seed}")  # noqa: S311 - same
    late = _late_write(LATE_WRITES[seed % len(LATE_WRITES)], chance)
    kinds = [ERASURE_KINDS[(seed * _IN_TURN + turn) % len(ERASURE_KINDS)] for turn in range(_IN_TURN)]
    faults = [late, *(_erasure_fault(kind, chance) for kind in (*kinds, chance.choice(ERASURE_KINDS)))]
    chance.shuffle(faults)
    return faults


def _erasure_fault(kind: str, chance: Random) -> Fault:
    draw = _TO_WORKERS.get(kind)
    return draw_fault(kind, chance) if draw is None else draw(chance)


def _late_write(point: Point, chance: Random) -> AtPoint:
    """Keep it back for longer than the lease: while the run goes on, or until it is over."""
    return AtPoint(point, "hold", chance.choice((0.0, CLAIM_IDLE + _seconds(chance))))


def draw_fault(kind: str, chance: Random) -> Fault:
    """Draw a fault of a kind: what it affects, and for how long."""
    draw = _PLAIN.get(kind)
    if draw is not None:
        return draw(chance)
    point = next(point for point in POINTS if point.name == kind)
    if point.word == "upsert" and point.phase == "before":
        return AtPoint(point, "hold")
    blows: Sequence[Blow] = ("kill", "kill server") if point.client == "ingest" else ("kill", "pause", "kill server")
    return AtPoint(point, chance.choice(blows), CLAIM_IDLE + chance.uniform(0.3, 1.5))


def _seconds(chance: Random) -> float:
    return chance.uniform(0.5, 2.5)


def _pause(chance: Random) -> Pause:
    part = chance.choice(PARTS)
    # A worker sleeps for so long that its messages are taken over, and then goes on as if nothing had happened.
    return Pause(part, _seconds(chance) + (CLAIM_IDLE if part.startswith("embedder") else 0.0))


def _outage(chance: Random) -> Outage:
    how: FaultName = chance.choice(
        ("server_error", "unavailable", "timeout", "dropped", "unauthorized", "insufficient_quota", "wrong_count")
    )
    return Outage(how, _seconds(chance))


_PLAIN: Mapping[str, Callable[[Random], Fault]] = {
    "kill": lambda chance: Kill(chance.choice(PARTS), chance.choice((0.0, 0.0, 1.0, 2.0))),
    "terminate": lambda chance: Terminate(chance.choice(PARTS)),
    "pause": _pause,
    "429 storm": lambda chance: Storm(chance.choice((0.5, 0.8, 1.0)), 0.5 + _seconds(chance)),
    "outage of the provider": _outage,
    "network cut": lambda chance: Cut(*chance.choice(LINKS), chance.choice((0.0, _seconds(chance)))),
    "network stall": lambda chance: Stall(*chance.choice(LINKS), chance.choice((0.0, CLAIM_IDLE)) + _seconds(chance)),
    "slow network": lambda chance: Slow(*chance.choice(LINKS), chance.uniform(0.01, 0.2), 1.0 + _seconds(chance)),
    "old and new worker mixed": lambda _: OldWorker(),
}

KINDS = (*_PLAIN, *(point.name for point in POINTS))


def _worker(chance: Random) -> str:
    return chance.choice(("embedder-1", "embedder-2"))


_TO_WORKERS: Mapping[str, Callable[[Random], Fault]] = {
    "kill": lambda chance: Kill(_worker(chance), chance.choice((0.0, 1.0, CLAIM_IDLE + 1.0))),
    "pause": lambda chance: Pause(_worker(chance), CLAIM_IDLE + _seconds(chance)),
    "network cut": lambda chance: Cut(_worker(chance), chance.choice(("redis", "qdrant")), 2 * _seconds(chance)),
    "network stall": lambda chance: Stall(
        _worker(chance), chance.choice(("redis", "qdrant")), CLAIM_IDLE + _seconds(chance)
    ),
    "stalled, then killed": lambda chance: Strand(_worker(chance), "qdrant", CLAIM_IDLE + _seconds(chance)),
}

ERASURE_KINDS = (
    *_TO_WORKERS,
    "during upsert",
    "after upsert",
    "before acknowledging",
    "after requesting a deletion",
    "after removing",
)
"""Faults that a deletion has to outlast, besides late writes."""
