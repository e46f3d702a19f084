"""Ingest while Redis is down, comes back, is full, or has forgotten something."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from exchanges import answered, entries_of, line, post, post_lines, problem
from installation import Installation, installed
from waiting import until

from memstream.contracts import keys
from memstream.streams.backlog import backlog

LIMIT = 5


@pytest_asyncio.fixture(scope="module")
async def parts(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    """Run Redis and an ingest that was there first."""
    async with installed(Installation(tmp_path_factory.mktemp("trouble"))) as installation:
        await installation.start("redis")
        await installation.start("keys")
        await installation.kill("redis")
        await installation.start("ingest-1", ready=False)
        yield installation


@pytest_asyncio.fixture(scope="module")
async def ingest(parts: Installation) -> AsyncIterator[httpx.AsyncClient]:
    """Ask the ingest of this module's installation."""
    async with parts.client("ingest-1") as client:
        await until(lambda: is_live(client), "ingest answers")
        yield client


@pytest_asyncio.fixture
async def serving(parts: Installation, ingest: httpx.AsyncClient) -> httpx.AsyncClient:
    """Ask an ingest whose Redis is there."""
    if not await takes_messages(ingest):
        await restarted(parts, ingest)
    return ingest


async def is_live(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/health/live")).status_code == 200
    except httpx.TransportError:
        return False


async def takes_messages(ingest: httpx.AsyncClient) -> bool:
    return (await ingest.get("/health/ready")).status_code == 200


async def start_redis(parts: Installation) -> None:
    """Start Redis again, and let go of the connections that its end has cut."""
    await parts.start("redis")
    await parts.redis.connection_pool.disconnect()


async def restarted(parts: Installation, ingest: httpx.AsyncClient) -> None:
    """Start Redis again and wait until ingest has seen it."""
    await start_redis(parts)
    await until(lambda: takes_messages(ingest), "ingest is ready")


# This one needs Redis as the fixture left it: it comes first.
async def test_without_redis_it_lives_and_says_what_is_missing(ingest: httpx.AsyncClient, user: str) -> None:
    live, ready = await ingest.get("/health/live"), await ingest.get("/health/ready")
    refused = await ingest.post("/v1/messages", json={"user_id": user, "text": "hello"})

    assert (live.status_code, ready.status_code) == (200, 503)
    assert "Redis" in ready.json()["parts"]["redis"]
    assert "Redis" in problem(refused, 503, "unavailable")["detail"]
    assert int(refused.headers["retry-after"]) >= 1


async def test_once_redis_is_there_it_serves(parts: Installation, serving: httpx.AsyncClient, user: str) -> None:
    await post(serving, user, "hello")
    assert len(await entries_of(parts.redis, user)) == 1


async def test_what_was_acknowledged_around_a_crash_of_redis_is_there_once(
    parts: Installation, serving: httpx.AsyncClient, user: str
) -> None:
    numbers = count()
    done: dict[str, int] = {}
    enough = asyncio.Event()

    async def keep_posting() -> None:
        while not enough.is_set():
            name = f"m-{next(numbers)}"
            response = await serving.post("/v1/messages", json={"user_id": user, "message_id": name, "text": "hello"})
            done[name] = response.status_code

    async def seen(status: int, least: int) -> None:
        before = Counter(done.values())[status]
        await until(lambda: Counter(done.values())[status] >= before + least, f"{least} answers of {status}")

    posting = [asyncio.create_task(keep_posting()) for _ in range(8)]
    for _ in range(2):
        await seen(202, 50)
        await parts.kill("redis")
        await seen(503, 5)
        await start_redis(parts)
        await seen(202, 50)
    enough.set()
    await asyncio.gather(*posting)

    assert set(done.values()) <= {202, 429, 503}
    found = Counter(event["message_id"] for event in await entries_of(parts.redis, user))
    assert {name for name, status in done.items() if status == 202} <= set(found)
    assert set(found.values()) == {1}


async def test_a_refused_message_can_be_posted_again(
    parts: Installation, serving: httpx.AsyncClient, user: str
) -> None:
    await parts.kill("redis")
    refused = await serving.post("/v1/messages", json={"user_id": user, "message_id": "m", "text": "hello"})
    await restarted(parts, serving)
    await post(serving, user, "hello", message_id="m")

    problem(refused, 503, "unavailable")
    assert len(await entries_of(parts.redis, user)) == 1


async def test_a_script_that_redis_has_forgotten_is_loaded_again(
    parts: Installation, serving: httpx.AsyncClient, user: str
) -> None:
    await post(serving, user, "hello")
    await parts.redis.script_flush()

    await asyncio.gather(*(post(serving, user, "hello") for _ in range(10)))
    assert len(await entries_of(parts.redis, user)) == 11


async def test_groups_that_are_gone_are_made_again_from_the_first_entry(
    parts: Installation, serving: httpx.AsyncClient, user: str
) -> None:
    await parts.redis.flushall()
    await parts.start("keys")
    # The key is remembered, so this may well be appended before the groups are there.
    await until(lambda: is_taken(serving, user), "a message is taken")
    await until(lambda: has_group(parts), "the group is there")

    assert await backlog(parts.redis, keys.stream(0, "live")) == len(await entries_of(parts.redis, user)) == 1


async def is_taken(ingest: httpx.AsyncClient, user: str) -> bool:
    response = await ingest.post("/v1/messages", json={"user_id": user, "message_id": "m", "text": "hello"})
    return response.status_code == 202


async def has_group(parts: Installation) -> bool:
    stream = keys.stream(0, "live")
    return bool(await parts.redis.exists(stream)) and bool(await parts.redis.xinfo_groups(stream))


async def test_a_redis_without_an_append_only_file_is_not_trusted(
    parts: Installation, serving: httpx.AsyncClient, user: str
) -> None:
    await parts.redis.config_set("appendonly", "no")
    try:

        async def says_what_to_set() -> bool:
            said = (await serving.get("/health/ready")).json()["parts"]["redis"]
            return "`appendonly yes`" in said and "MEMSTREAM_INGEST_DURABILITY=memory" in said

        await until(says_what_to_set, "ingest says what to set")
        refused = await serving.post("/v1/messages", json={"user_id": user, "text": "hello"})
    finally:
        await parts.redis.config_set("appendonly", "yes")
        await until(lambda: takes_messages(serving), "ingest is ready")

    problem(refused, 503, "unavailable")
    assert await entries_of(parts.redis, user) == []


async def test_with_a_policy_of_every_second_it_waits_for_the_disk(
    parts: Installation, serving: httpx.AsyncClient, user: str
) -> None:
    await parts.redis.config_set("appendfsync", "everysec")
    try:

        async def waits() -> bool:
            await post(serving, user, "hello")
            return "cmdstat_waitaof" in await parts.redis.info("commandstats")

        await until(waits, "an append waits for the disk")
    finally:
        await parts.redis.config_set("appendfsync", "always")


async def test_a_full_redis_refuses_and_takes_again_when_there_is_room(
    parts: Installation, serving: httpx.AsyncClient, user: str
) -> None:
    used = int((await parts.redis.info("memory"))["used_memory"])
    await parts.redis.config_set("maxmemory", used + 2_000_000)
    statuses: Counter[int] = Counter()
    try:
        for number in range(60):
            body = b"\n".join(line(user, f"m-{number}-{n}", "w" * 5000) for n in range(20))
            response = await post_lines(serving, body)
            statuses[response.status_code] += 1
            if response.status_code != 200:
                problem(response, response.status_code, {429: "overloaded", 503: "unavailable"}[response.status_code])
                assert int(response.headers["retry-after"]) >= 1
    finally:
        await parts.redis.config_set("maxmemory", 0)

    assert set(statuses) <= {200, 429, 503}
    assert statuses[429] + statuses[503] > 0
    await until(lambda: is_taken(serving, user), "a message is taken again")


async def test_a_key_can_be_revoked_while_redis_is_full(parts: Installation, serving: httpx.AsyncClient) -> None:
    body = {"tenant": "local"}
    async with parts.client("ingest-1", key=parts.info.admin_key) as operator:
        made = answered(await operator.post("/v1/admin/keys", json=body), 201)
        await parts.redis.config_set("maxmemory", 1)
        try:
            refused = await operator.post("/v1/admin/keys", json=body)
            revoked = await operator.delete(f"/v1/admin/keys/{made['key_id']}")
        finally:
            await parts.redis.config_set("maxmemory", 0)

    problem(refused, 429, "overloaded")
    assert revoked.status_code == 204
    await until(lambda: takes_messages(serving), "it takes messages again")


async def test_too_large_a_backlog_refuses_until_it_is_drained(tmp_path: Path, user: str) -> None:
    settings = {"ingest-1": {"MEMSTREAM_INGEST_BACKLOG_LIMIT": str(LIMIT)}}
    async with installed(Installation(tmp_path, settings=settings)) as parts:
        await parts.start("redis")
        await parts.start("keys", "ingest-1")
        async with parts.client("ingest-1") as ingest:
            await post_lines(ingest, b"\n".join(line(user, f"m-{n}") for n in range(LIMIT)))

            async def is_refused() -> bool:
                return not await is_taken(ingest, user)

            await until(is_refused, "a message is refused")
            refused = await ingest.post("/v1/messages", json={"user_id": user, "text": "hello"})
            batch = await post_lines(ingest, line(user, "other"))
            ready = await ingest.get("/health/ready")
            await drain(parts)
            await until(lambda: is_taken(ingest, user), "a message is taken again")

    assert str(LIMIT) in problem(refused, 429, "overloaded")["detail"]
    assert int(refused.headers["retry-after"]) >= 1
    problem(batch, 429, "overloaded")
    assert answered(ready, 200)["status"] == "ok"


async def drain(parts: Installation) -> None:
    """Be done with everything, as an embedder would."""
    stream = keys.stream(0, "live")
    await parts.redis.xreadgroup(keys.GROUP, "test", {stream: ">"})
    entries = await parts.redis.xpending_range(stream, keys.GROUP, "-", "+", 1000)
    await parts.redis.xack(stream, keys.GROUP, *(entry["message_id"] for entry in entries))
