"""What has become of positions: found in few round trips, however many are asked for, and without a payload staying."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

from pydantic_core import from_json

from memstream.contracts import ids, keys
from memstream.contracts.keys import Position, Seen, entry_order
from memstream.streams.connections import Redis, decoded, redis_faults
from memstream.streams.groups import missing_group

Fate = Literal["dead", "deleted", "unknown"]
"""Why a message will not become searchable: it is a dead letter, it was deleted, or nothing is at its position: it was
not given out, or its entry was removed after the message was deleted."""

_READ_AT_ONCE = 50
"""Entries of one round trip: each may have a text of 64 KiB."""
_PENDING = 1_000
_PAGES = 5
"""Pending entries that are read at once, and how often before the rest counts as pending."""


@dataclass(frozen=True, slots=True)
class MessageKeys:
    """The keys that say what became of a message and of its user."""

    seen: str
    erased: str


@dataclass(frozen=True, slots=True)
class Identified:
    """Positions of a tenant by what is known of them."""

    messages: Mapping[Position, MessageKeys]
    """Those of the tenant's messages that are still on the stream."""
    unknown: frozenset[Position]
    """Those of no message of the tenant. One from before the stream's oldest entry is not among them: it may be of a
    message that was stored, and trimmed since."""


async def identify(client: Redis, positions: Sequence[Position], tenant: str) -> Identified:
    """Return what is known of positions: of another tenant's the same as of those that nobody has.

    Raises:
        Unavailable: Redis cannot be reached, or the group is missing.

    """
    messages: dict[Position, MessageKeys] = {}
    rest = iter(positions)
    while some := list(islice(rest, _READ_AT_ONCE)):
        with redis_faults():
            async with client.pipeline(transaction=False) as pipe:
                for position in some:
                    pipe.xrange(position.stream, min=position.entry_id, max=position.entry_id, count=1)
                answers: list[Any] = await pipe.execute()
        for position, entries in zip(some, answers, strict=True):
            owner = _owner(entries[0][1]) if entries else None
            if owner is not None and owner[0] == tenant:
                messages[position] = MessageKeys(
                    keys.seen_by_hex(position.partition, ids.message_hex(*owner)),
                    keys.erased_by_hex(position.partition, ids.owner_hex(owner[0], owner[1])),
                )
    others = [position for position in positions if position not in messages]
    oldest = await _oldest(client, {position.stream for position in others})
    # The oldest entry may be another tenant's, and counts as trimmed like what was before it.
    return Identified(messages, frozenset(one for one in others if one.order > oldest[one.stream]))


async def _oldest(client: Redis, streams: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Return the order of each stream's oldest entry; of the last delivered one where there is none."""
    found = await _delivered(client, streams)
    for stream in found:
        with redis_faults():
            entries: Any = await client.xrange(stream, count=1)
        if entries:
            found[stream] = entry_order(decoded(entries[0][0]))
    return found


def _owner(fields: Mapping[bytes, bytes]) -> tuple[str, str, str] | None:
    """Return a message's tenant, user and id; None if the entry is something else, or can't be read."""
    try:
        event = from_json(fields.get(keys.DATA_FIELD.encode(), b""))
    except ValueError:
        return None
    match event:
        case {"tenant": str(tenant), "user_id": str(user), "type": "message.recorded.v1", "message_id": str(name)}:
            return tenant, user, name
        case _:
            return None


async def fates(client: Redis, messages: Mapping[Position, MessageKeys]) -> dict[Position, Fate]:
    """Return which of the messages that the group is done with are dead letters, or were deleted.

    Raises:
        Unavailable: Redis cannot be reached.

    """
    if not messages:
        return {}
    with redis_faults():
        async with client.pipeline(transaction=False) as pipe:
            for one in messages.values():
                pipe.get(one.seen)
                pipe.get(one.erased)
            answers: list[Any] = await pipe.execute()
    found: dict[Position, Fate] = {}
    for position, seen, erased in zip(messages, answers[::2], answers[1::2], strict=True):
        fate = _fate(position, seen, erased)
        if fate is not None:
            found[position] = fate
    return found


def _fate(position: Position, seen: bytes | None, erased: bytes | None) -> Fate | None:
    if erased is not None and keys.was_before(decoded(erased), position.entry_id):
        return "deleted"
    if seen is None:
        return None
    try:
        noted = Seen.parse(decoded(seen))
    except ValueError:
        return None
    if noted.erasure_id is not None:
        return "deleted"
    return "dead" if noted.dead_entry_id is not None and noted.position == position else None


async def find_pending(client: Redis, positions: Iterable[Position]) -> set[Position]:
    """Return the positions that the group is not done with, by three commands for each of their streams.

    Where thousands of entries are pending, those beyond the first ones count as not done.

    Raises:
        Unavailable: Redis cannot be reached, or the group is missing.

    """
    by_stream: dict[str, set[Position]] = {}
    for position in positions:
        by_stream.setdefault(position.stream, set()).add(position)
    delivered = await _delivered(client, by_stream)
    waiting: set[Position] = set()
    for stream, asked in by_stream.items():
        undelivered = {position for position in asked if position.order > delivered[stream]}
        waiting |= undelivered
        if asked > undelivered:
            waiting |= await _pending(client, stream, asked - undelivered)
    return waiting


async def _delivered(client: Redis, streams: Iterable[str]) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for stream in streams:
        with redis_faults():
            groups: Any = await client.xinfo_groups(stream)
        for group in groups:
            if group["name"] == keys.GROUP.encode():
                found[stream] = entry_order(decoded(group["last-delivered-id"]))
        if stream not in found:
            raise missing_group(stream)
    return found


async def _pending(client: Redis, stream: str, asked: set[Position]) -> set[Position]:
    """Return those of the delivered positions of a stream that are pending."""
    by_order = {position.order: position for position in asked}
    first, last = min(by_order), max(by_order)
    waiting: set[Position] = set()
    for _ in range(_PAGES):
        with redis_faults():
            pending: Any = await client.xpending_range(
                stream, keys.GROUP, min=_written(first), max=_written(last), count=_PENDING
            )
        orders = [entry_order(decoded(entry["message_id"])) for entry in pending]
        waiting |= {by_order[order] for order in orders if order in by_order}
        if len(orders) < _PENDING or orders[-1] >= last:
            return waiting
        milliseconds, sequence = orders[-1]
        first = (milliseconds, sequence + 1)
    return waiting | {position for order, position in by_order.items() if order >= first}


def _written(order: tuple[int, int]) -> str:
    return f"{order[0]}-{order[1]}"
