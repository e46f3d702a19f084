"""How chunks are written so that a write that comes late brings nothing back: reserved first, filled then.

docs/decisions/0029 has the reasons.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeVar

from memstream.contracts.keys import Position
from memstream.vectors.store.messages import StoredMessage
from memstream.vectors.store.owners import Owner
from memstream.vectors.store.qdrant.collection import Collection, PointId, read_payload
from memstream.vectors.store.qdrant.filters import deleted, is_first_chunk, until_entry, with_ids
from memstream.vectors.store.versions import NewVersion, Reservation, StoredVersion

RESERVED_MS = "reserved_ms"
"""Only placeholders have this field: when they were made, in milliseconds."""

_RESERVED, _WRITTEN = "reserved", "written"
"""The token of the attempt that reserved a point last; that of the attempt that stored it."""

_VERSION = (*StoredMessage.__struct_fields__,)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Point = Mapping[str, Any]
Payload = Mapping[str, Any]
NameT = TypeVar("NameT", bound=Hashable)


class _Taken(NamedTuple):
    """How many chunk ids of a message are taken, as its first chunk says."""

    owner: Owner
    message_id: str
    chunks: int


class Fence:
    """Reserves, fills and deletes the points of one collection, by their ids."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    async def reserve(
        self, reservations: Sequence[Reservation], token: str, now: datetime
    ) -> list[StoredVersion | None]:
        """See `MemoryStore`."""
        ids = [_reserved_ids(one) for one in reservations]
        every = [point for points in ids for point in points]
        placeholders = [
            {"id": point, "vector": {}, "payload": _placeholder(one, token, now)}
            for one, points in zip(reservations, ids, strict=True)
            for point in points
        ]
        # Those that are there first: so nothing is marked that this call is about to make.
        mark = {"payload": {_RESERVED: token}, "filter": with_ids(every)}
        await self._collection.update(
            [{"set_payload": mark}, {"upsert": {"points": placeholders, "update_mode": "insert_only"}}]
        )
        found = await self._collection.retrieve(every, _VERSION)
        firsts = {
            index: read_payload(found[points[0]])
            for index, points in enumerate(ids)
            if "text" in found.get(points[0], ())
        }
        taken = await self._follow(
            {
                index: _Taken(reservations[index].owner, first.message_id, first.chunks)
                for index, first in firsts.items()
            }
        )
        return [
            StoredVersion(firsts[index], taken[index], _is_complete(firsts[index], [found.get(p, {}) for p in points]))
            if index in firsts
            else None
            for index, points in enumerate(ids)
        ]

    async def fill(self, versions: Sequence[NewVersion], points: Sequence[Sequence[Point]], token: str) -> list[bool]:
        """Store the points of each version; see `MemoryStore`."""
        written = [
            {**point, "payload": {**point["payload"], _WRITTEN: token}}
            for one_message in points
            for point in one_message
        ]
        ours = {"must": [{"key": _RESERVED, "match": {"value": token}}]}
        operations = [{"upsert": {"points": written, "update_mode": "update_only", "update_filter": ours}}]
        surplus = [
            with_ids(ids, until_entry(one.reservation.entry))
            for one in versions
            if (ids := _ids(one.reservation, range(len(one.chunks), one.replaced)))
        ]
        if surplus:
            operations.append({"delete": {"filter": {"should": surplus}}})
        await self._collection.update(operations)
        found = await self._collection.retrieve([point["id"] for point in written], (_WRITTEN,))
        return [
            all(found.get(point["id"], {}).get(_WRITTEN) == token for point in one_message) for one_message in points
        ]

    async def release(self, reservations: Sequence[Reservation], now: datetime) -> None:
        """See `MemoryStore`."""
        ids = [point for one in reservations for point in _reserved_ids(one)]
        made = {"key": RESERVED_MS, "range": {"lte": _milliseconds(now)}}
        await self._collection.update([{"delete": {"filter": with_ids(ids, made)}}])

    async def release_abandoned(self, before: datetime) -> None:
        """See `MemoryStore`."""
        made = {"key": RESERVED_MS, "range": {"lt": _milliseconds(before)}}
        await self._collection.update([{"delete": {"filter": {"must": [made]}}}])

    async def find(self, owner: Owner, until: Mapping[str, Position]) -> set[str]:
        """Return which messages are there to be deleted; see `MemoryStore.find_messages`."""
        firsts = {_id(owner, message_id, 0): message_id for message_id in until}
        either = [with_ids([point], until_entry(until[name]), is_first_chunk()) for point, name in firsts.items()]
        found = await self._collection.ids(deleted(owner, either=either), len(firsts))
        return {firsts[point] for point in found}

    async def delete(self, owner: Owner, until: Mapping[str, Position]) -> None:
        """Delete messages by the ids of their chunks; see `MemoryStore.delete_messages`."""
        firsts = {message_id: _id(owner, message_id, 0) for message_id in until}
        found = await self._collection.retrieve(list(firsts.values()), ("chunks",))
        taken = await self._follow(
            {
                message_id: _Taken(owner, message_id, found[point].get("chunks", 1))
                for message_id, point in firsts.items()
                if point in found
            }
        )
        # The first chunk tells how many there are, so it goes last: cut off in between, the deletion is repeated.
        parts = [range(1, max(taken.values(), default=1)), range(1)]
        operations = []
        for numbers in parts:
            either = [
                with_ids(ids, until_entry(until[message_id]))
                for message_id, end in taken.items()
                if (ids := [_id(owner, message_id, number) for number in numbers if number < end])
            ]
            if either:
                operations.append({"delete": {"filter": deleted(owner, either=either).json}})
        if operations:
            await self._collection.update(operations)

    async def _follow(self, taken: Mapping[NameT, _Taken]) -> dict[NameT, int]:
        """Return how many chunk ids each message takes, with those left over from longer versions before it.

        Earlier releases left these when a text was replaced by a shorter one. Each begins where the next version ends.
        """
        ends = {name: one.chunks for name, one in taken.items()}
        open_ends = {name: _id(one.owner, one.message_id, one.chunks) for name, one in taken.items()}
        while open_ends:
            found = await self._collection.retrieve(list(open_ends.values()), ("chunks",))
            for name, point in list(open_ends.items()):
                if point not in found:
                    del open_ends[name]
                    continue
                ends[name] = max(ends[name] + 1, found[point].get("chunks", 0))
                open_ends[name] = _id(taken[name].owner, taken[name].message_id, ends[name])
        return ends


def _id(owner: Owner, message_id: str, number: int) -> PointId:
    return PointId(str(owner.point_id(message_id, number)))


def _ids(reservation: Reservation, numbers: Iterable[int]) -> list[PointId]:
    return [_id(reservation.owner, reservation.message_id, number) for number in numbers]


def _reserved_ids(reservation: Reservation) -> list[PointId]:
    return _ids(reservation, range(reservation.chunks))


def _placeholder(reservation: Reservation, token: str, now: datetime) -> Payload:
    """Return what a placeholder holds: whose it is and for which entry, and no word of the message."""
    entry = reservation.entry
    milliseconds, sequence = entry.order
    return {
        "owner": reservation.owner.name,
        "chunks": reservation.chunks,
        "entry_ms": milliseconds,
        _RESERVED: token,
        RESERVED_MS: _milliseconds(now),
        **({"entry_seq": sequence} if sequence else {}),
    }


def _is_complete(first: StoredMessage, payloads: Sequence[Payload]) -> bool:
    """Return whether the chunks that an attempt reserved are those of one version, and all of it."""
    return first.chunks == len(payloads) and all(
        "text" in each and (each.get("entry", ""), each.get("entry_ms")) == (first.entry, first.entry_ms)
        for each in payloads
    )


def _milliseconds(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(milliseconds=1)
