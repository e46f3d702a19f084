"""The number of partitions is raised: what was deleted stays deleted, and what was said is known, wherever it lies."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from installation import Installation, installed
from integration.test_deletes import TENANT, delete, found, post, receipt, state
from waiting import until

from memstream.contracts import ids, keys
from memstream.runtime.errors import Unavailable
from memstream.streams.appending import lane_keys
from memstream.streams.scripts import Scripts
from memstream.streams.stream_scripts import APPEND, AppendArguments, AppendKeys

PARTITIONS = 4
MOVED = [user for user in map("user-{}".format, range(20)) if ids.partition(TENANT, user, PARTITIONS)]
"""Users that are elsewhere once there are four partitions."""


@pytest_asyncio.fixture(loop_scope="session")
async def parts(tmp_path: Path) -> AsyncIterator[Installation]:
    """Run everything but the embedder, with one partition."""
    settings: dict[str, dict[str, str]] = {}
    async with installed(Installation(tmp_path, settings=settings)) as installation:
        await installation.start("redis")
        await installation.start("keys", "qdrant", "embeddings")
        await installation.start("ingest-1")
        yield installation


async def grow(parts: Installation, partitions: int = PARTITIONS) -> None:
    """Raise the number of partitions as operators are told to."""
    for name in ("embedder-1", "retriever-1", "ingest-1"):
        variable = f"MEMSTREAM_{name.removesuffix('-1').upper()}_PARTITIONS"
        parts.settings[name] = {variable: str(partitions)}  # type: ignore[index] # the fixture's own
        if parts.runs(name):
            await parts.stop(name)
    await parts.start("ingest-1")


async def begin_to_read(parts: Installation) -> None:
    await parts.start("embedder-1")
    await parts.start("retriever-1")


async def test_what_is_deleted_after_the_growth_is_not_stored_by_a_backlog_from_before(parts: Installation) -> None:
    one, other = MOVED[:2]
    async with parts.client("ingest-1") as ingest:
        kept = await post(ingest, one, "kept")
        await post(ingest, one, "deleted")
        await post(ingest, other, "erased")
    await grow(parts)
    async with parts.client("ingest-1") as ingest, parts.client("retriever-1") as retriever:
        requests = [
            await delete(ingest, "/v1/messages", user_id=one, message_id="deleted"),
            await delete(ingest, "/v1/users", user_id=other),
        ]
        again = await post(ingest, other, "said after it")
        await begin_to_read(parts)
        for request in requests:
            told = await receipt(ingest, request)
            assert (told["state"], told["scope"]) == ("done", "message" if request == requests[0] else "user")

        assert await found(retriever, one, kept) == ["kept"]
        assert await found(retriever, other, again) == ["said after it"]
        assert [await state(ingest, one, name) for name in ("kept", "deleted")] == ["stored", "deleted"]
        assert await state(ingest, other, "erased") == "deleted"
        await until(lambda: _are_purged(ingest, requests), "their words have left the streams of before")
        assert b"lamp" not in b"".join(await _texts(parts, "deleted", "erased"))


async def test_what_was_said_and_deleted_before_the_growth_is_known_after_it(parts: Installation) -> None:
    user = MOVED[0]
    async with parts.client("ingest-1") as ingest:
        kept = await post(ingest, user, "kept")
        await post(ingest, user, "deleted")
        await delete(ingest, "/v1/messages", user_id=user, message_id="deleted")
    await grow(parts)
    async with parts.client("ingest-1") as ingest:
        answers = [
            (await ingest.post("/v1/messages", json={"user_id": user, "message_id": name, "text": "lamp"})).json()
            for name in ("kept", "deleted", "new")
        ]

        assert (answers[0]["position"], answers[0]["duplicate"], answers[0]["deleted"]) == (kept, True, False)
        assert (answers[1]["duplicate"], answers[1]["deleted"]) == (True, True)
        assert not answers[2]["duplicate"]
        assert not answers[2]["position"].startswith("0.")
        assert await state(ingest, user, "kept") == "queued"
        assert await state(ingest, user, "deleted") == "deleted"


async def test_what_was_stored_before_the_growth_is_deleted_after_it_and_read_again_in_vain(
    parts: Installation,
) -> None:
    user = MOVED[0]
    await begin_to_read(parts)
    async with parts.client("ingest-1") as ingest, parts.client("retriever-1") as retriever:
        old = await post(ingest, user, "old")
        assert await found(retriever, user, old) == ["old"]
    await grow(parts)
    await begin_to_read(parts)
    async with parts.client("ingest-1") as ingest, parts.client("retriever-1") as retriever:
        assert await found(retriever, user) == ["old"]
        new = await post(ingest, user, "new")
        await receipt(ingest, await delete(ingest, "/v1/messages", user_id=user, message_id="old"))
        await parts.redis.xgroup_setid(keys.stream(0, "live"), keys.GROUP, "0")
        await until(lambda: _is_read(parts), "the first partition was read again")

        assert await found(retriever, user, new) == ["new"]


async def test_ids_of_the_new_partitions_are_later_though_the_clock_was_set_back(parts: Installation) -> None:
    user = MOVED[0]
    seconds, _ = await parts.redis.time()
    ahead = f"{int(seconds) * 1000 + 3_600_000}-0"
    await parts.redis.xadd(keys.stream(0, "bulk"), {"type": "x", "data": "{}"}, id=ahead)
    await grow(parts)
    async with parts.client("ingest-1") as ingest:
        position = await post(ingest, user, "a")

    assert keys.entry_order(position.rpartition(".")[2]) > keys.entry_order(ahead)


async def test_an_installation_without_a_record_is_known_by_its_streams(parts: Installation) -> None:
    await parts.stop("ingest-1")
    # As a release left it that recorded nothing.
    await parts.redis.delete(keys.partitioning(0))
    parts.settings["embedder-1"] = {"MEMSTREAM_EMBEDDER_PARTITIONS": "4"}  # type: ignore[index] # the fixture's own
    await parts.start("embedder-1")
    await grow(parts)

    assert [await parts.redis.get(keys.partitioning(one)) for one in range(4)] == [b"1 4"] * 4


async def test_an_ingest_of_before_appends_nothing_and_says_why(parts: Installation) -> None:
    await parts.redis.set(keys.partitioning(0), "1 4")
    async with parts.client("ingest-1") as ingest:

        async def is_refused() -> bool:
            return (await ingest.get("/health/ready")).status_code == 503

        await until(is_refused, "it is not ready")
        health = (await ingest.get("/health/ready")).text
        answer = await ingest.post("/v1/messages", json={"user_id": "ana", "text": "lamp"})

    assert "PARTITIONS is 1, and this installation has 4: set 4" in health
    assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)


async def test_a_partition_refuses_a_process_of_before_that_has_not_noticed(parts: Installation) -> None:
    # What processes look at from time to time is the record of the first partition. Each has one that scripts look at.
    appended = AppendArguments(60, "2.live.", "x", 1)
    names = AppendKeys(lane_keys(2, "live"), keys.letters(2), ["{2}:seen"], ["{2}:erased"])
    await parts.redis.set(keys.partitioning(2), "1 4")

    with pytest.raises(Unavailable, match="PARTITIONS is 1, and this installation has 4"):
        await Scripts(parts.redis).run_all([APPEND.call(names, appended, ["{}"])])

    assert await parts.redis.xlen(keys.stream(2, "live")) == 0


@pytest.mark.parametrize(("former", "partitions"), [(4, 1), (4, 6)])
async def test_a_number_that_can_not_be_reached_is_refused_by_every_service(
    parts: Installation, former: int, partitions: int
) -> None:
    await grow(parts, former)
    for name in ("embedder-1", "retriever-1", "ingest-1"):
        variable = f"MEMSTREAM_{name.removesuffix('-1').upper()}_PARTITIONS"
        parts.settings[name] = {variable: str(partitions)}  # type: ignore[index] # the fixture's own
    await parts.stop("ingest-1")
    await parts.start("ingest-1", "retriever-1", "embedder-1", ready=False)

    async def is_told(name: str) -> bool:
        return f"PARTITIONS is {partitions}, and this installation has {former}" in parts.log(name)

    for name in ("ingest-1", "embedder-1"):
        await until(lambda name=name: is_told(name), f"{name} says why")  # type: ignore[misc]
    async with parts.client("retriever-1") as retriever:

        async def is_not_ready() -> bool:
            try:
                health = await retriever.get("/health/ready")
            except httpx.TransportError:
                return False
            return health.status_code == 503 and f"this installation has {former}" in health.text

        await until(is_not_ready, "the retriever says why")


async def _are_purged(ingest: httpx.AsyncClient, requests: list[str]) -> bool:
    told = await asyncio.gather(*(ingest.get(f"/v1/erasures/{request}") for request in requests))
    return all(one.json()["purged_at"] for one in told)


async def _texts(parts: Installation, *message_ids: str) -> list[bytes]:
    """Give the entries of all streams that have these messages."""
    found: list[bytes] = []
    for partition in range(PARTITIONS):
        for lane in keys.LANES:
            entries: Any = await parts.redis.xrange(keys.stream(partition, lane))
            for _, fields in entries:
                data = fields[b"data"]
                found += [data for name in message_ids if f'"message_id":"{name}"'.encode() in data]
    return found


async def _is_read(parts: Installation) -> bool:
    (group,) = await parts.redis.xinfo_groups(keys.stream(0, "live"))
    return not group["pending"] and not group["lag"]
