"""Leases on pending entries: renewed while this worker holds them, and taken over from workers that are gone."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from memstream.contracts import keys
from memstream.embedder.jobs import Delivery
from memstream.embedder.parked_entries import ParkedEntry
from memstream.embedder.pending_list import PendingList
from memstream.embedder.streams import SourceStream
from memstream.runtime.clock import Clock
from memstream.runtime.errors import Unavailable
from memstream.runtime.health import Pulse
from memstream.streams.connections import Redis, decoded, redis_faults

_log = logging.getLogger(__name__)

_PAGE = 100
"""Entries read or claimed by one command."""

Offer = Callable[[Sequence[Delivery]], Awaitable[None]]


class Leases:
    """Renews the leases of the entries in progress, and takes over those whose lease has ended.

    A lease ends `claim_idle` seconds after it was renewed. There are no locks: Redis decides who gets an entry.
    """

    def __init__(  # noqa: PLR0913 - what it needs, by name
        self,
        client: Redis,
        sources: Sequence[SourceStream],
        *,
        consumer: str,
        claim_idle: float,
        offer: Offer,
        pending: PendingList,
        held: Callable[[], Sequence[Delivery]],
        parked: Callable[[], Sequence[ParkedEntry]],
        has_faults: Callable[[], bool],
        clock: Clock,
        pulse: Pulse,
    ) -> None:
        self._client = client
        self._sources = sources
        self._consumer = consumer
        self._claim_idle_ms = int(claim_idle * 1000)
        self._period = claim_idle / 3
        self._offer = offer
        self._pending = pending
        self._held = held
        self._parked = parked
        self._has_faults = has_faults
        self._clock = clock
        self._pulse = pulse

    async def drain_own(self) -> None:
        """Take up the entries that this worker held when it last ended.

        Raises:
            Unavailable: Redis is out of reach, or a group is gone.

        """
        for source in self._sources:
            after = "0"
            while True:
                with redis_faults():
                    answer: Any = await self._client.xreadgroup(
                        keys.GROUP, self._consumer, {source.name: after}, count=_PAGE
                    )
                entries = answer[0][1] if answer else []
                if not entries:
                    break
                await self._take(source, entries)
                after = decoded(entries[-1][0])

    async def keep_own(self) -> None:
        """Renew the leases of this worker's entries until cancelled. A failure is retried at the next turn."""
        while True:
            await self._try(self.renew)
            self._pulse.beat()
            await self._clock.sleep(self._period)

    async def take_over(self) -> None:
        """Take over what other workers left until cancelled. It waits while there is no room."""
        while True:
            await self._clock.sleep(self._period)
            await self._try(self.claim)

    async def _try(self, turn: Callable[[], Awaitable[None]]) -> None:
        try:
            await turn()
        except Unavailable as error:
            _log.warning("leases: %s", error)

    async def renew(self) -> None:
        """Renew the leases of the entries in progress, and of those that are parked.

        Their delivery counts stay as they are. But while a dependency fails, this delivery is not counted: an outage
        must not use up the deliveries of a message, however often workers are restarted meanwhile.

        Raises:
            Unavailable: Redis is out of reach.

        """
        await self._pending.renew(self._held(), counted=not self._has_faults())
        await self._pending.hold_back(self._parked())

    async def give_up(self) -> None:
        """End the leases of all entries that this worker has at once, without counting this delivery.

        Raises:
            Unavailable: Redis is out of reach.

        """
        await self._pending.renew(self._held(), counted=False, idle_ms=self._claim_idle_ms)
        await self._pending.hold_back(self._parked(), idle_ms=self._claim_idle_ms)

    async def claim(self) -> None:
        """Take over the entries whose lease has ended.

        Raises:
            Unavailable: Redis is out of reach, or a group is gone.

        """
        for source in self._sources:
            start = "0-0"
            while True:
                with redis_faults():
                    answer: Any = await self._client.xautoclaim(
                        source.name, keys.GROUP, self._consumer, self._claim_idle_ms, start_id=start, count=_PAGE
                    )
                start = decoded(answer[0])
                # The server itself acknowledges entries whose payload is gone.
                self._log_lost_entries(source, answer[2:] and answer[2])
                if answer[1]:
                    _log.info("took over %d entries of %s", len(answer[1]), source.name)
                    await self._take(source, answer[1])
                if start == "0-0":
                    break

    async def _take(self, source: SourceStream, entries: Sequence[tuple[bytes, Mapping[bytes, bytes] | None]]) -> None:
        attempts = await self._attempts(source, [entry_id for entry_id, _ in entries])
        # The client gives no fields where the payload is gone; an entry that is there has some.
        gone = [entry_id for entry_id, fields in entries if not fields]
        if gone:
            self._log_lost_entries(source, gone)
            with redis_faults():
                await self._client.xack(source.name, keys.GROUP, *gone)
        await self._offer(
            [
                source.delivery(decoded(entry_id), fields, count)
                for (entry_id, fields), count in zip(entries, attempts, strict=True)
                if fields
            ]
        )

    async def _attempts(self, source: SourceStream, entry_ids: Sequence[bytes]) -> list[int]:
        """Return the delivery counts. They are asked for one by one, as any number of other entries may lie between."""
        with redis_faults():
            async with self._client.pipeline(transaction=False) as pipe:
                for entry_id in entry_ids:
                    pipe.xpending_range(source.name, keys.GROUP, min=entry_id, max=entry_id, count=1)
                answers: list[Any] = await pipe.execute()
        return [int(pending[0]["times_delivered"]) if pending else 1 for pending in answers]

    def _log_lost_entries(self, source: SourceStream, gone: Sequence[bytes]) -> None:
        if gone:
            names = ", ".join(decoded(entry_id) for entry_id in gone)
            _log.error("%d pending entries of %s are gone from the stream, unread: %s", len(gone), source.name, names)
