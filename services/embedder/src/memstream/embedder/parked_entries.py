"""Entries that are read and wait without their text, until there is room for one more of their tenant. Pure.

A stream has one order for all tenants. So that one with many entries doesn't keep those behind from being read, what
exceeds its share of the room is parked: its place in the stream is remembered, and it is read again when it is its
turn.
"""

from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import NamedTuple

from memstream.embedder.jobs import Delivery, QueueName
from memstream.embedder.streams import SourceStream

_SHARES: dict[QueueName, float] = {"live": 1.0, "bulk": 0.5, "deletions": 1.0}
"""Of all that may be parked: an import must not keep the live lane from being read."""


_source = cache(SourceStream)


class ParkedEntry(NamedTuple):
    """Where an entry is, how often it has been delivered, and its size in bytes."""

    source: SourceStream
    entry_id: str
    attempts: int
    size: int

    @property
    def delivery(self) -> Delivery:
        """The entry's delivery, without what it says."""
        return self.source.delivery(self.entry_id, {}, self.attempts)


def parked(delivery: Delivery, size: int) -> ParkedEntry:
    """Return what is remembered of an entry."""
    return ParkedEntry(_source(delivery.partition, delivery.lane), delivery.entry_id, delivery.attempts, size)


class ParkedEntries:
    """Up to `capacity` entries by queue and tenant: a tenant's in order, and tenants in turns."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        # The tenant whose turn is next comes first.
        self._queues: defaultdict[QueueName, OrderedDict[str, deque[ParkedEntry]]] = defaultdict(OrderedDict)
        self._numbers: defaultdict[QueueName, int] = defaultdict(int)
        self._ids: defaultdict[str, set[str]] = defaultdict(set)

    def __len__(self) -> int:
        """Return how many there are."""
        return sum(self._numbers.values())

    def __iter__(self) -> Iterator[ParkedEntry]:
        """Return all of them."""
        return (entry for queue in self._queues.values() for entries in queue.values() for entry in entries)

    def has_room(self, queue: QueueName, share: float = 1.0) -> bool:
        """Return whether one more may be parked, in a share of the room that there is."""
        room = share * self._capacity
        return len(self) < room and self._numbers[queue] < max(1.0, room * _SHARES[queue])

    def has(self, stream: str, entry_id: str) -> bool:
        """Return whether this entry is parked."""
        return entry_id in self._ids[stream]

    def tenants(self, queue: QueueName) -> int:
        """Return how many tenants have entries in a queue."""
        return len(self._queues[queue])

    def is_waiting(self, queue: QueueName, tenant: str) -> bool:
        """Return whether a tenant has entries in a queue: what comes after them waits behind them."""
        return tenant in self._queues[queue]

    def add(self, queue: QueueName, tenant: str, entry: ParkedEntry) -> None:
        """Park an entry behind those of its tenant."""
        self._queues[queue].setdefault(tenant, deque()).append(entry)
        self._note(queue, [entry])

    def put_back(self, queue: QueueName, tenant: str, entries: Sequence[ParkedEntry]) -> None:
        """Park entries in front of those of their tenant, in order, whether there is room or not."""
        if entries:
            self._queues[queue].setdefault(tenant, deque()).extendleft(reversed(entries))
            self._note(queue, entries)

    def _note(self, queue: QueueName, entries: Iterable[ParkedEntry]) -> None:
        for entry in entries:
            self._numbers[queue] += 1
            self._ids[entry.source.name].add(entry.entry_id)

    def take(self, queue: QueueName, admits: Callable[[str, ParkedEntry], bool], most: int) -> list[ParkedEntry]:
        """Take and return up to so many entries that are admitted, all of the tenant whose turn it is.

        Returns:
            Nothing, if no tenant's first entry is admitted.

        """
        tenants = self._queues[queue]
        for tenant in list(tenants):
            entries, taken = tenants[tenant], list[ParkedEntry]()
            while entries and len(taken) < most and admits(tenant, entries[0]):
                entry = entries.popleft()
                self._numbers[queue] -= 1
                self._ids[entry.source.name].discard(entry.entry_id)
                taken.append(entry)
            if not entries:
                del tenants[tenant]
            elif taken:
                tenants.move_to_end(tenant)
            if taken:
                return taken
        return []
