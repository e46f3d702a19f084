"""Purging: the entries and dead letters of deleted messages and erased users leave Redis before their time."""

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from memstream.contracts import keys
from memstream.contracts.keys import LANES, Lane, Position
from memstream.embedder.compactions import Compactions
from memstream.embedder.purges import Purge, PurgeIndex
from memstream.runtime.clock import Clock
from memstream.streams.connections import Redis, decoded, redis_faults
from memstream.streams.groups import are_done
from memstream.streams.partitioning import PartitionRecord
from memstream.streams.purge_scripts import (
    NOTE_REMOVED,
    PURGE,
    CountedField,
    CountedKeys,
    PurgeArguments,
    PurgeKeys,
    RemovedArguments,
)
from memstream.streams.scripts import Scripts

_PAGE = 100
"""Entries read at once. One may have a text of 64 KiB."""

_REST = 19
"""How much longer a pass rests than it works, so that it takes a twentieth of the time at most."""

_LONGEST_REST = 5.0
"""Seconds, so that the lease holds."""

_PURGES_AT_ONCE = 10_000
"""Purges that one pass serves. The others wait for the next pass."""

_LEASE_MS = 30_000
"""After this time without a sign of its worker, another one takes a partition over."""

_DATA = keys.DATA_FIELD.encode()
_ORIGINAL = b"original:"


class _LeaseLost(Exception):
    """Another worker has taken the partition over."""


@dataclass(frozen=True, slots=True)
class _Found:
    """An entry to remove: its id in the stream where it is, its id when it was appended, and what it belongs to."""

    entry_id: str
    appended: Position
    purges: Sequence[Purge]


class StreamPurge:
    """Purges partitions in passes: one pass over streams and dead letters serves all purges asked for until then.

    One worker does so for a partition at a time. A pass that is cut off is begun anew, by any worker.
    """

    def __init__(  # noqa: PLR0913 - its dependencies, by name
        self,
        client: Redis,
        compactions: Compactions,
        record: PartitionRecord,
        *,
        worker: str,
        clock: Clock,
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        """Make it. `beat` is called with each page, since a pass may take long."""
        self._client = client
        self._scripts = Scripts(client)
        self._compactions = compactions
        self._record = record
        self._worker = worker
        self._clock = clock
        self._beat = beat

    async def purge(self) -> None:
        """Make one pass over each partition for which there is something to do.

        Raises:
            Unavailable: Redis cannot be reached.

        """
        partitioning = await self._record.read()
        for partition in range(partitioning.partitions):
            with redis_faults(), suppress(_LeaseLost):
                if await self._client.exists(keys.purges(partition)) and await self._lease(partition):
                    await self._visit(partition, partitioning.former(partition))

    async def _visit(self, partition: int, former: Sequence[int]) -> None:
        asked, waiting = await self._read(partition)
        if asked:
            index, left = PurgeIndex(asked), set[str]()
            for place in (partition, *former):
                left |= await self._pass(partition, place, index)
            done = [purge for purge in asked if purge.erasure_id not in left]
            await self._compactions.begin(partition, done, former=former)
        await self._compactions.check(partition, waiting)

    async def _read(self, partition: int) -> tuple[list[Purge], list[Purge]]:
        """Return the purges of which entries are to be removed, and those that wait for a compaction."""
        asked: list[Purge] = []
        waiting: list[Purge] = []
        async for _, value in self._client.hscan_iter(keys.purges(partition), count=_PAGE):
            purge = Purge.model_validate_json(value)
            purges = asked if purge.waiting is None else waiting
            if len(purges) < _PURGES_AT_ONCE:
                purges.append(purge)
        return asked, waiting

    async def _lease(self, partition: int) -> bool:
        """Return whether this worker may purge the partition; renewed by each page."""
        name = keys.purging(partition)
        if await self._client.set(name, self._worker, nx=True, px=_LEASE_MS):
            return True
        if decoded(await self._client.get(name)) != self._worker:
            return False
        return bool(await self._client.pexpire(name, _LEASE_MS))

    async def _pass(self, partition: int, place: int, index: PurgeIndex) -> set[str]:
        """Remove what may be removed of a partition's purges, and return the erasures of which a group needs entries.

        `place` is that partition, or one that its users were in before: what is there has earlier ids.
        """
        left: set[str] = set()
        mark = index.last_mark
        for lane in LANES:
            async for page in self._pages(partition, keys.stream(place, lane), mark):
                found = [
                    _Found(entry_id, Position(place, lane, entry_id), purges)
                    for entry_id, fields in page
                    if (purges := index.find(fields.get(_DATA, b""), entry_id))
                ]
                left |= await self._remove_settled(partition, keys.stream(place, lane), found)
        letters = keys.dead_letters(place)
        async for page in self._pages(partition, letters, "+"):
            found = [one for letter_id, fields in page if (one := _letter(place, letter_id, fields, index))]
            await self._remove(partition, letters, found)
        return index.with_later(left)

    async def _pages(
        self, partition: int, stream: str, end: str
    ) -> AsyncIterator[list[tuple[str, dict[bytes, bytes]]]]:
        """Return a stream's entries page by page, and rest in between."""
        start = "-"
        while True:
            self._beat()
            began = self._clock.monotonic()
            found: Any = await self._client.xrange(stream, start, end, _PAGE)
            page = [(decoded(entry_id), fields) for entry_id, fields in found]
            if page:
                yield page
            if len(page) < _PAGE:
                return
            start = f"({page[-1][0]}"
            if not await self._lease(partition):
                raise _LeaseLost
            await self._clock.sleep(min(_LONGEST_REST, _REST * (self._clock.monotonic() - began)))

    async def _remove_settled(self, partition: int, stream: str, found: Sequence[_Found]) -> set[str]:
        """Remove entries that the group is done with; return the ids of the erasures that the others belong to."""
        if not found:
            return set()
        done = await are_done(self._client, [one.appended for one in found])
        await self._remove(partition, stream, [one for one, is_done in zip(found, done, strict=True) if is_done])
        return {
            purge.erasure_id for one, is_done in zip(found, done, strict=True) if not is_done for purge in one.purges
        }

    async def _remove(self, partition: int, stream: str, found: Iterable[_Found]) -> None:
        by_purge: defaultdict[str, list[_Found]] = defaultdict(list)
        for one in found:
            by_purge[one.purges[0].erasure_id].append(one)
        for erasure_id, some in by_purge.items():
            place = some[0].appended.partition
            names = PurgeKeys(stream, keys.erasure(place, erasure_id), keys.kept(place))
            field: CountedField = "dead_letters" if stream == keys.dead_letters(place) else "stream_entries"
            arguments = PurgeArguments(
                entry_ids=[one.entry_id for one in some],
                field=field,
                youngest=max(keys.entry_order(one.entry_id)[0] for one in some),
            )
            removed = await self._scripts.run(PURGE.call(names, arguments))
            if removed and place != partition:
                receipt = CountedKeys(keys.erasure(partition, erasure_id))
                await self._scripts.run(NOTE_REMOVED.call(receipt, RemovedArguments(field, removed)))


def _letter(partition: int, letter_id: str, fields: dict[bytes, bytes], index: PurgeIndex) -> _Found | None:
    """Return a dead letter that is to be purged, judged by where its entry was; None if it stays."""
    lane: Lane = "bulk" if decoded(fields.get(b"stream", b"")).endswith(":bulk") else "live"
    entry_id = decoded(fields.get(b"entry_id", b""))
    try:
        position = Position.parse(f"{partition}.{lane}.{entry_id}")
    except ValueError:
        return None
    purges = index.find(fields.get(_ORIGINAL + _DATA, b""), entry_id)
    return _Found(letter_id, position, purges) if purges else None
