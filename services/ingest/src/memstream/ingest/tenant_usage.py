"""How many messages tenants have in the streams and in Qdrant, as far as their policies limit that.

Appended messages are counted by tenant and time slot, and each process adds what it counted once a second. What waits
is what was appended in slots after the one whose entries are being read. So nothing has to be subtracted: a count can't
become negative, and streams that are read again or were lost put nothing wrong for good. Where a count errs, it is too
low: no tenant is refused for messages that are done.
"""

import contextlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

from memstream.contracts import keys
from memstream.contracts.keys import LANES, Lane
from memstream.ingest.appends import Appended
from memstream.ingest.recorder import NewEntry
from memstream.runtime.clock import Clock
from memstream.runtime.errors import Unavailable
from memstream.streams.connections import Redis, decoded, redis_faults

SLOT_SECONDS = 10
_LIFETIME = timedelta(days=7)
"""Of counts, after the last one was added."""
_FRESH_SECONDS = 1.0
_CACHED_TENANTS = 10_000


class _Slot(NamedTuple):
    tenant: str
    partition: int
    lane: Lane
    number: int


@dataclass(frozen=True, slots=True)
class Usage:
    """A tenant's messages."""

    waiting: int
    """In the streams, not yet delivered to an embedder."""
    stored: int
    """In Qdrant when they were counted last, and those appended since."""

    def plus(self, messages: int) -> "Usage":
        """Return the usage with so many messages more."""
        return Usage(self.waiting + messages, self.stored + messages)


@dataclass(slots=True)
class _Read:
    read_at: float
    usage: Usage


class TenantUsage:
    """Counts what is appended, and reads what all processes have counted."""

    def __init__(self, redis: Redis, clock: Clock, *, partitions: int) -> None:
        self._redis = redis
        self._clock = clock
        self._partitions = partitions
        self._counted: Counter[_Slot] = Counter()
        self._cache: dict[str, _Read] = {}

    def count(self, entries: Sequence[NewEntry], appended: Sequence[Appended]) -> None:
        """Count those entries that were appended and not there before."""
        for entry, one in zip(entries, appended, strict=True):
            if not one.duplicate:
                milliseconds, _ = keys.entry_order(one.position.rpartition(".")[2])
                slot = milliseconds // 1000 // SLOT_SECONDS
                self._counted[_Slot(entry.tenant, entry.partition, entry.lane, slot)] += 1

    async def publish(self) -> None:
        """Add what was counted to what all processes have.

        Raises:
            Unavailable: Redis cannot be reached. Some of what was counted may be lost.

        """
        if not self._counted:
            return
        # Taken before: what may have been added must not be added twice.
        counted, self._counted = self._counted, Counter()
        with redis_faults():
            async with self._redis.pipeline(transaction=False) as pipe:
                for slot, messages in counted.items():
                    name = keys.tenant_appended(slot.tenant, slot.partition)
                    pipe.hincrby(name, f"{slot.lane}:{slot.number}", messages)
                    pipe.expire(name, _LIFETIME)
                await pipe.execute()

    async def publish_periodically(self) -> None:
        """Publish once a second until cancelled."""
        while True:
            # Redis takes no messages either; what is lost now is counted too little.
            with contextlib.suppress(Unavailable):
                await self.publish()
            await self._clock.sleep(_FRESH_SECONDS)

    async def read(self, tenant: str) -> Usage:
        """Return a tenant's messages, as they were a second ago at the most.

        Raises:
            Unavailable: Redis cannot be reached.

        """
        now = self._clock.monotonic()
        cached = self._cache.get(tenant)
        if cached is not None and now - cached.read_at < _FRESH_SECONDS:
            return cached.usage
        if cached is not None:
            # One caller reads, and the others of this moment go by what was read before.
            cached.read_at = now
        usage = await self._read(tenant)
        if len(self._cache) >= _CACHED_TENANTS:
            self._cache = {one: read for one, read in self._cache.items() if now - read.read_at < _FRESH_SECONDS}
        self._cache[tenant] = _Read(now, usage)
        return usage

    async def _read(self, tenant: str) -> Usage:
        await self.publish()
        partitions = range(self._partitions)
        with redis_faults():
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.hgetall(keys.tenant_stored(tenant))
                for partition in partitions:
                    pipe.hgetall(keys.tenant_appended(tenant, partition))
                    for lane in LANES:
                        pipe.xinfo_groups(keys.stream(partition, lane))
                stored, *answers = await pipe.execute()
        counted_slot = int(stored.get(b"counted_at", 0)) // SLOT_SECONDS
        waiting = since = 0
        step = 1 + len(LANES)
        for partition in partitions:
            slots, *groups = answers[partition * step : (partition + 1) * step]
            delivered = {lane: _delivered_slot(each) for lane, each in zip(LANES, groups, strict=True)}
            over = []
            for name, messages in slots.items():
                which, _, number = decoded(name).partition(":")
                slot = int(number)
                waits, is_new = slot > delivered["bulk" if which == "bulk" else "live"], slot >= counted_slot
                waiting += int(messages) * waits
                since += int(messages) * is_new
                if not waits and not is_new:
                    over.append(name)
            await self._remove(keys.tenant_appended(tenant, partition), over)
        return Usage(waiting, int(stored.get(b"messages", 0)) + since)

    async def _remove(self, name: str, slots: Sequence[bytes]) -> None:
        if slots:
            with redis_faults():
                await self._redis.hdel(name, *slots)


def _delivered_slot(groups: Sequence[Mapping[str, Any]]) -> int:
    """Return the slot of the entry that was delivered last; without a group, nothing has been."""
    for group in groups:
        if group["name"] == keys.GROUP.encode():
            return keys.entry_order(decoded(group["last-delivered-id"]))[0] // 1000 // SLOT_SECONDS
    return 0
