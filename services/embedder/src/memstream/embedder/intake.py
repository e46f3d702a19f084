"""Which entries are worked on, and which wait: a tenant's share of the room, and what is read beyond it."""

import asyncio
import contextlib
import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

from memstream.embedder.held_entries import Competition, HeldEntries
from memstream.embedder.jobs import DecodedEntry, Delivery, QueueName, decode
from memstream.embedder.parked_entries import ParkedEntries, ParkedEntry, parked
from memstream.embedder.pending_list import PendingList
from memstream.embedder.retries import Retrier
from memstream.runtime.clock import Clock
from memstream.runtime.errors import Unavailable

_log = logging.getLogger(__name__)

_ENTRIES_PER_TURN = 16
"""Entries begun before other tasks get a turn."""

_TAKEN_UP_AT_ONCE = 32
"""Entries of a tenant that are read again by one command."""

_TRIAL_SECONDS = 10.0
"""After which a paused tenant's next message is tried, if the one before has no outcome yet."""

_SHARED_SECONDS = 600.0
"""How long after another tenant's message a tenant is not taken for the only one."""

_READ_AHEAD_SHARE = 0.5
"""Of what may be parked: up to that, reading goes before working, and beyond it after."""

_BEHIND_SECONDS = 5.0
"""How long after a full read another one is expected. The last one may have been full by chance."""

_FORGOTTEN_SECONDS = 600.0
"""After which a pause that nobody ended is forgotten."""

Begin = Callable[[DecodedEntry], Awaitable[None]]


class Intake:
    """Admits entries while their tenant has room, parks the others, and takes those up as room gets free.

    A tenant that is paused has its messages parked. When its pause is over, one of them is tried.
    """

    def __init__(  # noqa: PLR0913 - what it needs, by name
        self,
        held: HeldEntries,
        parked: ParkedEntries,
        pending: PendingList,
        retrying: Retrier,
        clock: Clock,
        *,
        read_entries: int,
    ) -> None:
        """Know by `read_entries`, the most that one read returns, whether there is more to read."""
        self._held = held
        self._read_entries = read_entries
        self._behind: dict[str, float] = {}
        self._parked = parked
        self._pending = pending
        self._retrying = retrying
        self._clock = clock
        self._changed = asyncio.Event()
        self._paused: dict[str, float] = {}
        self._put_aside: list[ParkedEntry] = []
        self._last_tenant: str | None = None
        self._last_change = -math.inf
        self._is_shared = False
        self._queues: deque[QueueName] = deque(["live", "deletions", "bulk"])

    async def offer(self, deliveries: Sequence[Delivery], begin: Begin) -> None:
        """Begin with those entries that have room, and park the others; entries that are known are skipped.

        Not returning is the backpressure: it happens when no more may be parked. Once closed, entries are left waiting.
        """
        self._note_read(deliveries, math.inf)
        fresh = list({d.name: d for d in deliveries if not self._is_known(d)}.values())
        self._held.announce(fresh)
        begun = 0
        try:
            for delivery in fresh:
                entry = decode(delivery)
                self._note_tenant(entry.tenant)
                if not (self._admits(entry) or self._parked.has_room(entry.queue)):
                    await self._until_room(entry)
                if self._held.is_closed:
                    return
                if self._admits(entry):
                    self._held.admit(entry.queue, entry.tenant, delivery, delivery.size)
                    await self._begin(entry, begin)
                    begun += 1
                    if begun % _ENTRIES_PER_TURN == 0:
                        await asyncio.sleep(0)
                else:
                    self._park(entry)
        finally:
            self._held.withdraw(fresh)
            self._note_read(deliveries, self._clock.monotonic() + _BEHIND_SECONDS)

    def _note_read(self, deliveries: Sequence[Delivery], until: float) -> None:
        for stream in {delivery.stream for delivery in deliveries}:
            if len(deliveries) >= self._read_entries:
                self._behind[stream] = until
            else:
                self._behind.pop(stream, None)

    def _is_known(self, delivery: Delivery) -> bool:
        return self._held.has(delivery) or self._parked.has(delivery.stream, delivery.entry_id)

    def _admits(self, entry: DecodedEntry) -> bool:
        if self._parked.is_waiting(entry.queue, entry.tenant):
            return False
        is_paused = entry.queue != "deletions" and entry.tenant in self._paused
        return not is_paused and self._has_room(entry.queue, entry.tenant, was_parked=False)

    def _has_room(self, queue: QueueName, tenant: str, *, was_parked: bool) -> bool:
        tenants = max(self._held.tenants(queue), self._parked.tenants(queue))
        competition = Competition(tenants, self._is_shared, self._parked.tenants("bulk") > 0, self._is_behind(queue))
        return self._held.has_room(queue, tenant, competition, was_parked=was_parked)

    def _is_behind(self, queue: QueueName) -> bool:
        now = self._clock.monotonic()
        is_expected = any(until > now for until in self._behind.values())
        return is_expected and self._parked.has_room(queue, _READ_AHEAD_SHARE)

    def _note_tenant(self, tenant: str) -> None:
        now = self._clock.monotonic()
        if tenant != self._last_tenant:
            self._last_change = now if self._last_tenant is not None else -math.inf
            self._last_tenant = tenant
        self._is_shared = now - self._last_change < _SHARED_SECONDS

    async def _until_room(self, entry: DecodedEntry) -> None:
        while not (self._held.is_closed or self._admits(entry) or self._parked.has_room(entry.queue)):
            self._changed.clear()
            await self._changed.wait()

    async def _begin(self, entry: DecodedEntry, begin: Begin) -> None:
        try:
            await begin(entry)
        except asyncio.CancelledError:
            # Nobody works on it any more, so it must not keep its lease: it comes back when that ends.
            if not self._held.is_closed:
                self._held.release(entry.delivery)
            raise

    def _park(self, entry: DecodedEntry) -> None:
        one = parked(entry.delivery, entry.delivery.size)
        if one.attempts > 1:
            # A redelivered one doesn't wait for the end of what came since.
            self._parked.put_back(entry.queue, entry.tenant, [one])
        else:
            self._parked.add(entry.queue, entry.tenant, one)
        self._held.withdraw([entry.delivery])
        self._put_aside.append(one)
        self._changed.set()

    async def _hold_back(self) -> None:
        """Take back that the entries parked since the last time count as delivered."""
        entries, self._put_aside = self._put_aside, []
        try:
            await self._pending.hold_back([one for one in entries if self._parked.has(one.source.name, one.entry_id)])
        except Unavailable as error:
            # The next renewal of the leases does it.
            _log.warning("%d parked entries count as delivered for now: %s", len(entries), error)

    async def take_up(self, begin: Begin) -> None:
        """Begin with parked entries as room gets free, until closed."""
        while not self._held.is_closed:
            self._changed.clear()
            if self._put_aside:
                await self._hold_back()
            entries = self._next()
            if entries:
                await self._read_again(entries, begin)
            elif not self._put_aside:
                await self._wait_for_change()

    def _next(self) -> list[ParkedEntry]:
        now = self._clock.monotonic()
        for _ in range(len(self._queues)):
            queue = self._queues[0]
            self._queues.rotate(-1)
            admits = partial(self._admits_parked, queue, now)
            if entries := self._parked.take(queue, admits, _TAKEN_UP_AT_ONCE):
                return entries
        return []

    def _admits_parked(self, queue: QueueName, now: float, tenant: str, entry: ParkedEntry) -> bool:
        is_paused = queue != "deletions" and tenant in self._paused
        if (is_paused and now < self._paused[tenant]) or not self._has_room(queue, tenant, was_parked=True):
            return False
        if is_paused:
            self._paused[tenant] = now + _TRIAL_SECONDS
        # It has its room before it is read, and keeps its lease like all that are in progress.
        self._held.admit(queue, tenant, entry.delivery, entry.size)
        return True

    async def _read_again(self, entries: Sequence[ParkedEntry], begin: Begin) -> None:
        deliveries = await self._retrying.until_success(lambda: self._pending.take_up(entries))
        found = {delivery.name for delivery in deliveries}
        for entry in entries:
            if entry.delivery.name not in found:
                _log.warning("a parked entry is gone: %s %s", entry.source.name, entry.entry_id)
                self.release([entry.delivery])
        for number, delivery in enumerate(deliveries, 1):
            if number % _ENTRIES_PER_TURN == 0:
                await asyncio.sleep(0)
            await begin(replace(decode(delivery), was_parked=self._is_shared))

    async def _wait_for_change(self) -> None:
        now = self._clock.monotonic()
        wait = min((until - now for until in self._paused.values() if until > now), default=None)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._changed.wait()

    def release(self, deliveries: Iterable[Delivery]) -> None:
        """Release entries that are done, or that nobody works on any more."""
        for delivery in deliveries:
            self._held.release(delivery)
        self._changed.set()

    def pause(self, tenant: str, seconds: float) -> None:
        """Work on no message of a tenant for so long, then on one; and so on until `resume`."""
        now = self._clock.monotonic()
        self._paused = {one: until for one, until in self._paused.items() if until > now - _FORGOTTEN_SECONDS}
        self._paused[tenant] = now + seconds
        self._changed.set()

    def resume(self, tenants: Iterable[str]) -> None:
        """End the pauses of these tenants."""
        for tenant in tenants:
            if self._paused.pop(tenant, None) is not None:
                self._changed.set()

    def put_back(self, queue: QueueName, tenant: str, deliveries: Sequence[Delivery]) -> None:
        """Park entries in progress again, in front of all others of their tenant."""
        entries = [parked(delivery, delivery.size) for delivery in deliveries]
        self._parked.put_back(queue, tenant, entries)
        self._put_aside.extend(entries)
        self.release(deliveries)

    def close(self) -> None:
        """Take nothing more up."""
        self._held.close()
        self._changed.set()
