"""A worker's entries in the groups' lists of pending entries: their leases, and what counts as a delivery."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

from memstream.contracts import keys
from memstream.embedder.jobs import Delivery
from memstream.embedder.parked_entries import ParkedEntry
from memstream.streams.connections import Redis, decoded, redis_faults

ItemT = TypeVar("ItemT")

_PAGE = 500
"""Entries named by one command: about a millisecond of the server's time."""


class PendingList:
    """Claims entries for this worker, as often as it likes: they are its own already, or nobody's."""

    def __init__(self, client: Redis, consumer: str) -> None:
        self._client = client
        self._consumer = consumer

    async def renew(self, deliveries: Iterable[Delivery], *, counted: bool = True, idle_ms: int | None = None) -> None:
        """Renew the leases of entries, or let them have been idle for so long already.

        Delivery counts stay as they are. If they are not to be counted, they become what they were before this
        delivery.

        Raises:
            Unavailable: Redis is out of reach; some may be renewed.

        """
        grouped: dict[tuple[str, int | None], list[str]] = {}
        for delivery in deliveries:
            count = None if counted else delivery.attempts - 1
            grouped.setdefault((delivery.stream, count), []).append(delivery.entry_id)
        with redis_faults():
            for (stream, count), entry_ids in grouped.items():
                for page in _pages(entry_ids):
                    names: list[Any] = [*page]
                    await self._client.xclaim(
                        *(stream, keys.GROUP, self._consumer, 0, names), idle=idle_ms, retrycount=count, justid=True
                    )

    async def hold_back(self, entries: Iterable[ParkedEntry], *, idle_ms: int | None = None) -> None:
        """Renew the leases of entries that are parked. Being parked doesn't count as a delivery.

        Otherwise each of them would be taken for what broke its worker when that is killed, and be tried alone.

        Raises:
            Unavailable: Redis is out of reach; some may be renewed.

        """
        for page in _pages(list(entries)):
            await self.renew((entry.delivery for entry in page), counted=False, idle_ms=idle_ms)

    async def take_up(self, entries: Sequence[ParkedEntry]) -> list[Delivery]:
        """Return the deliveries of parked entries, which count from now on; those that are gone are left out.

        Raises:
            Unavailable: Redis is out of reach, or a group is gone.

        """
        grouped: dict[tuple[str, int], dict[str, ParkedEntry]] = {}
        for entry in entries:
            grouped.setdefault((entry.source.name, entry.attempts), {})[entry.entry_id] = entry
        found: list[Delivery] = []
        with redis_faults():
            for (stream, attempts), named in grouped.items():
                answer: Any = await self._client.xclaim(
                    stream, keys.GROUP, self._consumer, 0, list(named), retrycount=attempts
                )
                for entry_id, fields in answer:
                    if fields:
                        name = decoded(entry_id)
                        found.append(named[name].source.delivery(name, fields, attempts))
        return found


def _pages(items: Sequence[ItemT]) -> Iterator[list[ItemT]]:
    return (list(items[start : start + _PAGE]) for start in range(0, len(items), _PAGE))
