"""The entries in progress, limited by number and by size: when there is no room, nothing more is read."""

import asyncio
from collections.abc import Iterable, Sequence

from prometheus_client import Gauge

from memstream.contracts.keys import Lane
from memstream.embedder.jobs import Delivery

_BULK_SHARE = 0.75
"""Share of the room that imports may take. What was just said would have to wait for the rest."""


class HeldEntries:
    """Admits entries while there is room, and knows those whose leases have to be renewed."""

    def __init__(self, messages: int, size: int, gauge: Gauge) -> None:
        """Hold up to so many messages, of up to `size` bytes."""
        self.messages_limit = messages
        """Messages in progress at the most."""
        self._bytes_limit = size
        self._gauge = gauge
        self._held: dict[tuple[str, str], Delivery] = {}
        self._bytes = 0
        self._waiting: dict[tuple[str, str], Delivery] = {}
        self._changed = asyncio.Event()
        self.is_closed = False
        """Nothing more is admitted, and what waits stays: its lease is given up together with the others."""

    @property
    def entries(self) -> Sequence[Delivery]:
        """The entries in progress, and those that wait for room."""
        return [*self._held.values(), *self._waiting.values()]

    def announce(self, deliveries: Iterable[Delivery]) -> list[Delivery]:
        """Note entries that wait for room, and return them without those that were known already."""
        fresh = {d.name: d for d in deliveries if d.name not in self._held and d.name not in self._waiting}
        self._waiting.update(fresh)
        return list(fresh.values())

    def withdraw(self, deliveries: Iterable[Delivery]) -> None:
        """Forget those of these entries that still wait for room, unless it is closed."""
        if not self.is_closed:
            for delivery in deliveries:
                self._waiting.pop(delivery.name, None)

    async def admit(self, delivery: Delivery) -> bool:
        """Admit an announced entry as soon as there is room; return False if it was closed before."""
        while not (self.is_closed or self._has_room(delivery.lane)):
            self._changed.clear()
            await self._changed.wait()
        if self.is_closed:
            return False
        del self._waiting[delivery.name]
        self._held[delivery.name] = delivery
        self._bytes += delivery.size
        self._gauge.set(len(self._held))
        return True

    def _has_room(self, lane: Lane) -> bool:
        share = 1.0 if lane == "live" else _BULK_SHARE
        return len(self._held) < max(1.0, self.messages_limit * share) and self._bytes < self._bytes_limit * share

    def release(self, delivery: Delivery) -> None:
        """Release an entry: it is done, or nobody works on it any more."""
        if self._held.pop(delivery.name, None) is not None:
            self._bytes -= delivery.size
            self._gauge.set(len(self._held))
            self._changed.set()

    def close(self) -> None:
        """Admit nothing more."""
        self.is_closed = True
        self._changed.set()
