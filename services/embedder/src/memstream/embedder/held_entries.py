"""The entries in progress, limited by number and by size, with a share of the room for each tenant."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from prometheus_client import Gauge

from memstream.embedder.jobs import Delivery, QueueName

_SHARES: dict[QueueName, float] = {"live": 1.0, "bulk": 0.75, "deletions": 0.5}
"""Of the room. What was just said would have to wait for what an import has beyond it; deletions have their own."""

_PARKED_SHARE = 0.75
"""Of the room, for what waits of the live lane while several tenants send."""

_SENT_SHARE = 0.25
"""Of the room, for what a tenant just sent while others send, too. What exceeds that is parked."""

_BEHIND_SHARE = 1 / 8
"""Of the room, while there is more to read: work on what was read must not delay the reading of what others sent."""

_BULK_FLOOR = 1 / 8
"""Of the room, for imports that wait, however many live messages there are."""

_NEWCOMERS_SHARE = 1 / 16
"""Of the room that a queue may take, for tenants that have nothing in progress yet."""


class Competition(NamedTuple):
    """Who else wants the room of a queue."""

    tenants: int
    """With entries that are in progress or parked."""
    is_shared: bool
    """Several tenants have sent something lately."""
    bulk_waits: bool
    """Imports have entries that are parked."""
    is_behind: bool = False
    """There is more to read than was read at once."""


@dataclass(frozen=True, slots=True)
class _Held:
    delivery: Delivery
    queue: QueueName
    tenant: str
    size: int


class HeldEntries:
    """Admits entries while there is room for their tenant, and knows those whose leases have to be renewed.

    Every entry takes its bytes of the room, and as much as one of so many messages at the least.
    """

    def __init__(self, messages: int, size: int, gauge: Gauge) -> None:
        """Hold up to so many messages, of up to `size` bytes."""
        self._least = max(1, size // messages)
        self._room = self._least * messages
        self._gauge = gauge
        self._held: dict[tuple[str, str], _Held] = {}
        self._used: Counter[QueueName] = Counter()
        self._used_by: dict[QueueName, Counter[str]] = {queue: Counter() for queue in _SHARES}
        self._waiting: dict[tuple[str, str], Delivery] = {}
        self.is_closed = False
        """Nothing more is admitted, and what waits stays: its lease is given up together with the others."""

    @property
    def entries(self) -> Sequence[Delivery]:
        """The entries in progress, and those that are just being taken up."""
        return [*(held.delivery for held in self._held.values()), *self._waiting.values()]

    def has(self, delivery: Delivery) -> bool:
        """Return whether an entry is in progress, or just being taken up."""
        return delivery.name in self._held or delivery.name in self._waiting

    def announce(self, deliveries: Iterable[Delivery]) -> None:
        """Note entries that are being taken up."""
        self._waiting.update((delivery.name, delivery) for delivery in deliveries)

    def withdraw(self, deliveries: Iterable[Delivery]) -> None:
        """Forget those of these entries that were announced and not admitted, unless it is closed."""
        if not self.is_closed:
            for delivery in deliveries:
                self._waiting.pop(delivery.name, None)

    def tenants(self, queue: QueueName) -> int:
        """Return how many tenants have entries in progress."""
        return len(self._used_by[queue])

    def has_room(self, queue: QueueName, tenant: str, competition: Competition, *, was_parked: bool) -> bool:
        """Return whether one more entry of a tenant may be admitted now: one that waited, or one that just came."""
        room = self._room * _SHARES[queue]
        others = 0 if queue == "deletions" else self._used["live" if queue == "bulk" else "bulk"]
        if queue == "live":
            if was_parked and competition.is_shared:
                room *= _PARKED_SHARE
            if competition.bulk_waits:
                room -= max(0.0, self._room * _BULK_FLOOR - others)
        if competition.is_behind and queue != "deletions":
            room *= _BEHIND_SHARE
        share = room * (1 - _NEWCOMERS_SHARE) / max(1, competition.tenants)
        if queue == "live" and competition.is_shared and not was_parked:
            share = room * _SENT_SHARE
        return self._used[queue] + others < max(1.0, room) and self._used_by[queue][tenant] < max(1.0, share)

    def admit(self, queue: QueueName, tenant: str, delivery: Delivery, size: int) -> None:
        """Admit an entry."""
        self._waiting.pop(delivery.name, None)
        held = _Held(delivery, queue, tenant, max(self._least, size))
        self._held[delivery.name] = held
        self._used[queue] += held.size
        self._used_by[queue][tenant] += held.size
        self._gauge.set(len(self._held))

    def release(self, delivery: Delivery) -> None:
        """Release an entry: it is done, or nobody works on it any more."""
        held = self._held.pop(delivery.name, None)
        if held is not None:
            self._used[held.queue] -= held.size
            self._used_by[held.queue][held.tenant] -= held.size
            if not self._used_by[held.queue][held.tenant]:
                del self._used_by[held.queue][held.tenant]
            self._gauge.set(len(self._held))

    def close(self) -> None:
        """Admit nothing more."""
        self.is_closed = True
