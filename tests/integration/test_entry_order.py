"""Entries have one order over both lanes of their partition, whatever the server's clock does."""

import asyncio
from datetime import UTC, datetime
from random import Random

import pytest
from integration.worksite import Worksite

from memstream.contracts import ids, keys
from memstream.contracts.keys import LANES, Lane, Position
from memstream.contracts.messages import MessageIn
from memstream.ingest.appends import Appended
from memstream.ingest.durability import Durability
from memstream.ingest.erasures import ErasureRequest, Erasures
from memstream.ingest.recorder import Recorder
from memstream.ingest.stream_log import StreamLog
from memstream.streams.connections import Redis, decoded
from memstream.streams.partitioning import PartitionRecord

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR_MS = 3_600_000


class Streams:
    """What ingest does with the streams."""

    def __init__(self, client: Redis) -> None:
        durability = Durability(client, require_fsync=False, timeout=5)
        self._recorder = Recorder(1, lambda: NOW, Random(1))  # noqa: S311 - ids of a test
        record = PartitionRecord(client, 1)
        self._log = StreamLog(client, durability, record, dedup_seconds=600)
        self._erasures = Erasures(client, durability, record, lifetime=600)

    async def post(self, message_id: str, lane: Lane) -> tuple[int, int]:
        """Append a message; return its entry's order."""
        entry = self._recorder.record(MessageIn(user_id="ana", message_id=message_id, text="the lamp"), "acme", lane)
        (appended,) = await self._log.append([entry])
        assert isinstance(appended, Appended)
        assert not appended.duplicate
        return Position.parse(appended.position).order

    async def erase(self, name: str) -> None:
        """Erase the user."""
        assert await self._erasures.request(ErasureRequest("acme", "ana", None, NOW), name)


async def set_ahead(client: Redis, milliseconds: int) -> str:
    """Leave the streams as a server does whose clock is ahead; return the id of its last entry."""
    seconds, _ = await client.time()
    entry_id = f"{int(seconds) * 1000 + milliseconds}-7"
    await client.xadd(keys.stream(0, "live"), {"type": "x", "data": "{}"}, id=entry_id)
    await client.set(keys.last_entry(0), entry_id)
    return entry_id


@pytest.mark.parametrize("lane", LANES)
async def test_what_is_said_after_an_erasure_stays_though_the_clock_was_set_back(site: Worksite, lane: Lane) -> None:
    streams = Streams(site.redis)
    await set_ahead(site.redis, HOUR_MS)
    await streams.erase("e-1")
    mark = keys.entry_order(decoded(await site.redis.get(keys.erased(0, ids.owner_key("acme", "ana")))))

    assert await streams.post("after", lane) > mark


async def test_the_order_is_found_in_the_streams_where_an_older_release_appended(site: Worksite) -> None:
    streams = Streams(site.redis)
    await streams.post("first", "live")
    last = await set_ahead(site.redis, HOUR_MS)
    await site.redis.set(keys.last_entry(0), "5-0")

    orders = [await streams.post("second", "live"), await streams.post("third", "bulk")]

    assert keys.entry_order(last) < orders[0] < orders[1]


async def test_entries_that_are_appended_at_once_to_both_lanes_have_one_order(site: Worksite) -> None:
    streams = Streams(site.redis)

    async def say(lane: Lane, writer: int) -> list[tuple[int, int]]:
        return [await streams.post(f"{lane}-{writer}-{number}", lane) for number in range(25)]

    by_writer = await asyncio.gather(*(say(lane, writer) for lane in LANES for writer in range(4)))

    assert all(orders == sorted(orders) for orders in by_writer)
    assert len({order for orders in by_writer for order in orders}) == 2 * 4 * 25
