"""A Redis whose memory is used up, by one tenant or by strangers: work in progress ends, and it recovers by itself."""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator
from itertools import count

import httpx
import pytest_asyncio
from engines import require_own
from exchanges import answered, post, problem
from integration.worksite import Worksite
from waiting import until

from memstream.contracts import keys
from memstream.streams.connections import Redis
from memstream.web.credentials import Credential, store_key

OTHER_KEY = "ms_of-another-tenant"
ROOM = 4_000_000
_names = count(1)


@pytest_asyncio.fixture
async def ingest(site: Worksite) -> AsyncIterator[httpx.AsyncClient]:
    """Start ingest, and ask it; Redis may use as much memory as it likes at the end."""
    require_own("redis", "limits the memory of")
    await site.parts.start("keys", "ingest-1")
    await store_key(site.redis, OTHER_KEY, Credential("another"))
    async with site.parts.client("ingest-1") as client:
        yield client
    await site.redis.config_set("maxmemory", 0)


async def used(redis: Redis) -> int:
    """Return the bytes that Redis uses."""
    return int((await redis.info("memory"))["used_memory"])


async def delete(ingest: httpx.AsyncClient, message_id: str) -> httpx.Response:
    """Ask for the deletion of a message."""
    return await ingest.delete("/v1/messages", params={"user_id": "ana", "message_id": message_id})


async def delete_until_refused(ingest: httpx.AsyncClient) -> httpx.Response:
    """Delete messages that never existed until that is refused."""
    while True:
        answers = await asyncio.gather(*(delete(ingest, f"never-{next(_names)}" + "x" * 200) for _ in range(100)))
        for answer in answers:
            if answer.status_code != 202:
                return answer


async def test_deletions_of_nothing_are_refused_before_messages_of_others(
    site: Worksite, ingest: httpx.AsyncClient
) -> None:
    posted = await post(ingest, "ana", "hello", message_id="known")
    await site.redis.config_set("maxmemory", await used(site.redis) + ROOM)

    refused = await delete_until_refused(ingest)

    assert "deletions of unknown messages is 70%" in problem(refused, 429, "overloaded")["detail"]
    assert int(refused.headers["retry-after"]) >= 1
    other = httpx.AsyncClient(base_url=ingest.base_url, headers={"authorization": f"Bearer {OTHER_KEY}"})
    async with other:
        await post(other, "ben", "somebody else is heard", message_id="m-1")
    assert answered(await delete(ingest, posted["message_id"]), 202)["erasure_id"]
    problem(await delete(ingest, "not seen either"), 429, "overloaded")


async def test_what_deletions_of_nothing_took_is_given_back(site: Worksite, ingest: httpx.AsyncClient) -> None:
    await site.redis.config_set("maxmemory", await used(site.redis) + ROOM)
    await delete_until_refused(ingest)
    waiting = await site.redis.xlen(site.stream)

    await site.work(trim_period=1, replay_window=1)
    await site.finished()

    async def is_trimmed() -> bool:
        return bool(await site.redis.xlen(site.stream) < waiting / 2)

    await until(is_trimmed, "what is acknowledged is trimmed")
    lifetimes = [await site.redis.ttl(name) async for name in site.redis.scan_iter("memstream:{0}:*", count=1000)]
    assert len([seconds for seconds in lifetimes if seconds > 0]) > 500
    assert max(lifetimes) <= 300


async def test_one_tenants_messages_leave_room_for_those_of_others(site: Worksite, ingest: httpx.AsyncClient) -> None:
    await site.redis.config_set("maxmemory", await used(site.redis) + ROOM)
    other = httpx.AsyncClient(base_url=ingest.base_url, headers={"authorization": f"Bearer {OTHER_KEY}"})
    text = "noise " * 300

    async def flood() -> httpx.Response:
        return await ingest.post("/v1/messages", json={"user_id": "ana", "text": text})

    async def is_refused() -> bool:
        """Post some messages. What is refused is looked at only once it was decided by a new look at the memory."""
        answers = await asyncio.gather(*(flood() for _ in range(20)))
        return all(answer.status_code == 429 for answer in answers)

    await until(is_refused, "the tenant with most of the backlog is refused")

    assert problem(await flood(), 429, "overloaded")["limit"] == "backlog_share"
    async with other:
        await post(other, "ben", "somebody else is heard", message_id="m-1")


async def test_work_in_progress_ends_when_there_is_no_memory_at_all(site: Worksite, ingest: httpx.AsyncClient) -> None:
    await site.work()
    site.script.poison.add("poison")
    with_receipt = await post(ingest, "ana", "to be deleted", message_id="m-1")
    await site.finished()
    site.parts.signal("embedder-1", signal.SIGSTOP)
    for number in range(20):
        await post(ingest, "ana", f"message {number}")
    await post(ingest, "ana", "poison")
    erasure = answered(await delete(ingest, with_receipt["message_id"]), 202)["erasure_id"]
    await site.redis.config_set("maxmemory", await used(site.redis) // 2)
    site.parts.signal("embedder-1", signal.SIGCONT)

    await site.finished()

    assert (await ingest.get(f"/v1/erasures/{erasure}")).json()["state"] == "done"
    assert [letter[b"reason"] for letter in await site.letters()]

    refused = await ingest.post("/v1/messages", json={"user_id": "ana", "text": "hello"})
    problem(refused, 429, "overloaded")
    await site.redis.config_set("maxmemory", 0)

    async def is_taken() -> bool:
        return (await ingest.post("/v1/messages", json={"user_id": "ana", "text": "hello"})).status_code == 202

    await until(is_taken, "messages are taken again")


async def test_a_redis_that_has_just_become_full_is_told_as_an_overload(
    site: Worksite, ingest: httpx.AsyncClient
) -> None:
    await site.redis.config_set("maxmemory", await used(site.redis) // 2)

    # Ingest may not have looked at the memory yet.
    refused = await ingest.post("/v1/messages", json={"user_id": "ana", "text": "hello"})

    problem(refused, 429, "overloaded")
    assert int(refused.headers["retry-after"]) >= 1


async def test_erasures_of_a_tenant_are_limited(site: Worksite) -> None:
    await site.parts.start("keys")
    with site.setting("ingest-1", MEMSTREAM_INGEST_ERASURES_PER_DAY="5"):
        await site.parts.start("ingest-1")
    async with site.parts.client("ingest-1") as ingest:
        answers = [await ingest.delete("/v1/users", params={"user_id": f"user-{n}"}) for n in range(8)]

    assert Counter(answer.status_code for answer in answers) == {202: 5, 429: 3}
    assert "erasures_per_day" in problem(answers[-1], 429, "overloaded")["detail"]
    assert await site.redis.xlen(keys.stream(0, "live")) == 5
