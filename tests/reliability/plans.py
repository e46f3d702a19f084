"""What happens in a run: operations, and the faults that are injected as they begin. Pure: a seed gives the same."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

from reliability.faults import AtPoint, Fault, draw_erasure_faults, draw_faults, draw_kills
from reliability.machine_faults import draw_machine_faults
from reliability.operations import ERASING, Drawing, Operation, Shape

ShapeName = Literal["short", "big", "erasure", "machines"]

SHAPES: Mapping[ShapeName, Shape] = {
    "short": Shape(messages=130, users=8, pause=0.35),
    "big": Shape(messages=3000, users=20, pause=0.02),
    "erasure": Shape(messages=200, users=6, pause=0.5, weights=ERASING),
    # Longer than what a group of servers takes to go on without one of them.
    "machines": Shape(messages=300, users=10, pause=1.0, weights=ERASING),
}
_FAULTS: Mapping[ShapeName, Callable[[int], Sequence[Fault]]] = {
    "short": draw_faults,
    "big": draw_kills,
    "erasure": draw_erasure_faults,
    "machines": draw_machine_faults,
}


@dataclass(frozen=True, slots=True)
class Plan:
    """A run before it is made."""

    seed: int
    shape: ShapeName
    operations: Sequence[Operation]
    injections: Mapping[int, Sequence[Fault]]
    """Faults by the number of the operation with which they begin."""

    @property
    def prefix(self) -> str:
        """What the names of its users begin with."""
        return prefix_of(self.seed, self.shape)

    @property
    def faults(self) -> list[Fault]:
        """All faults, in order."""
        return [fault for _, faults in sorted(self.injections.items()) for fault in faults]


def prefix_of(seed: int, shape: ShapeName) -> str:
    """Name the users of a run: no other run has them, so that many can be made on one installation."""
    return f"{shape}-{seed}"


def draw_plan(seed: int, shape: ShapeName = "short") -> Plan:
    """Draw a run. After a fault that waits for a refused text or a delete there is one."""
    chance = Random(f"plan {seed}")  # noqa: S311 - nothing secret is made from it
    drawing = Drawing(seed, SHAPES[shape], prefix_of(seed, shape))
    operations = drawing.operations()
    faults = _FAULTS[shape](seed)
    places = [int(len(operations) * (turn + chance.random()) / (len(faults) + 1)) for turn in range(len(faults))]
    for place, fault in reversed(list(zip(places, faults, strict=True))):
        if isinstance(fault, AtPoint) and fault.point.provoked_by is not None:
            operations.insert(place + 1, drawing.provoke(fault.point.provoked_by))
    injections: dict[int, list[Fault]] = {}
    shift = 0
    for place, fault in zip(places, faults, strict=True):
        injections.setdefault(place + shift, []).append(fault)
        shift += isinstance(fault, AtPoint) and fault.point.provoked_by is not None
    return Plan(seed, shape, operations, injections)
