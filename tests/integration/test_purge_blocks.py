"""Where Redis keeps several entries in a block, it is said that removed ones wait, and found out when they are gone."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from installation import Installation, installed

from memstream.contracts import keys
from memstream.contracts.events import MessageRecorded
from memstream.embedder.compacted_stores import StreamBlocks
from memstream.embedder.compactions import Compactions
from memstream.embedder.purges import Purge
from memstream.embedder.stream_purge import StreamPurge
from memstream.runtime.clock import SystemClock
from memstream.streams.backlog import backlog
from memstream.streams.connections import Redis, decoded
from memstream.streams.groups import create_groups
from memstream.streams.partitioning import PartitionRecord

CLOCK = SystemClock()
STREAM = keys.stream(0, "live")
WINDOW = timedelta(days=1)


@pytest_asyncio.fixture
async def redis(tmp_path: Path) -> AsyncIterator[Redis]:
    async with installed(Installation(tmp_path)) as parts:
        await parts.start("redis")
        await create_groups(parts.redis, 1)
        yield parts.redis


async def say(redis: Redis, user: str, count: int = 1) -> str:
    """Append messages as ingest does; return the id of the last entry."""
    last = ""
    for number in range(count):
        now = CLOCK.now()
        event = MessageRecorded(
            tenant="acme", user_id=user, message_id=f"m{number}", text="lamp", occurred_at=now, recorded_at=now
        )
        last = decoded(await redis.xadd(STREAM, {"type": event.type, "data": event.model_dump_json()}))
    return last


async def settle(redis: Redis) -> None:
    """Read and acknowledge everything."""
    answer: Any = await redis.xreadgroup(keys.GROUP, "test", {STREAM: ">"})
    for _, entries in answer:
        await redis.xack(STREAM, keys.GROUP, *(entry_id for entry_id, _ in entries))


async def ask(redis: Redis, mark: str) -> str:
    """Have ana's entries purged; return the key of the receipt."""
    purge = Purge(erasure_id="0-x", tenant="acme", user_id="ana", mark=mark)
    await redis.hset(keys.purges(0), "0-x", purge.model_dump_json())
    receipt = keys.erasure(0, "0-x")
    await redis.hset(receipt, "scope", "user")
    return receipt


def purging(redis: Redis) -> StreamPurge:
    blocks = StreamBlocks(redis, [STREAM, keys.dead_letters(0)], WINDOW)
    return StreamPurge(
        redis, Compactions(redis, [blocks], CLOCK), PartitionRecord(redis, 1), worker="test", clock=CLOCK
    )


async def test_with_an_entry_to_a_block_nothing_waits_and_the_backlog_is_known(redis: Redis) -> None:
    mark = await say(redis, "ana", 3)
    await say(redis, "bob", 2)
    await settle(redis)
    receipt = await ask(redis, mark)
    await say(redis, "bob", 4)

    await purging(redis).purge()

    assert await redis.hmget(receipt, "stream_entries", "waiting") == [b"3", b"[]"]
    assert not await redis.exists(keys.purges(0))
    groups: Any = await redis.xinfo_groups(STREAM)
    assert groups[0]["lag"] == 4
    assert await backlog(redis, STREAM) == 4
    assert await redis.xlen(STREAM) == 6


async def test_what_a_group_still_needs_is_purged_once_it_is_done(redis: Redis) -> None:
    mark = await say(redis, "ana", 2)
    receipt = await ask(redis, mark)

    await purging(redis).purge()
    assert await redis.xlen(STREAM) == 2
    assert not await redis.hexists(receipt, "purged_at")

    await settle(redis)
    await purging(redis).purge()
    assert await redis.xlen(STREAM) == 0
    assert await redis.hget(receipt, "waiting") == b"[]"


async def test_entries_in_a_block_with_others_wait_until_that_is_trimmed(redis: Redis) -> None:
    await redis.config_set("stream-node-max-entries", 4)
    await say(redis, "bob")
    mark = await say(redis, "ana")
    await settle(redis)
    receipt = await ask(redis, mark)
    purge = purging(redis)

    await purge.purge()
    assert b'"streams"' in await redis.hget(receipt, "waiting")  # type: ignore[operator] # the answer is bytes
    assert b"lamp" in (await redis.dump(STREAM) or b"")

    last = await say(redis, "bob", 8)
    await purge.purge()
    assert b'"streams"' in await redis.hget(receipt, "waiting")  # type: ignore[operator] # the answer is bytes

    await redis.xtrim(STREAM, minid=last, approximate=False)
    await purge.purge()
    assert await redis.hget(receipt, "waiting") == b"[]"
    assert not await redis.exists(keys.purges(0))


@pytest.mark.parametrize("holder", ["another worker", "test"])
async def test_one_worker_at_a_time_purges_a_partition(redis: Redis, holder: str) -> None:
    mark = await say(redis, "ana")
    await settle(redis)
    await ask(redis, mark)
    await redis.set(keys.purging(0), holder, px=60_000)

    await purging(redis).purge()

    assert await redis.xlen(STREAM) == (0 if holder == "test" else 1)
