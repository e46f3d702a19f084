"""Requests to delete don't hold up the reading, however slow they are: on a real Redis."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence

import pytest
from integration.worksite import Worksite
from unit.manual_clock import START
from unit.pipelines import pipeline_on
from waiting import until

from memstream.contracts import keys
from memstream.contracts.events import MessageDeleted
from memstream.embedder.held_entries import HeldEntries
from memstream.embedder.jobs import Deleted, DeletionRequest, Outcome
from memstream.embedder.pipeline import Pipeline
from memstream.embedder.streams import source_streams
from memstream.embedder.subscriptions import Subscriptions

MESSAGES = 400


class SlowStore:
    """Deletes nothing until it is open."""

    def __init__(self) -> None:
        self.is_open = asyncio.Event()
        self.begun: set[str] = set()
        self.done: defaultdict[str, list[str]] = defaultdict(list)

    async def delete(self, requests: Sequence[DeletionRequest]) -> list[Outcome]:
        """Carry requests out, once it is open."""
        self.begun.add(requests[0].owner.name)
        await self.is_open.wait()
        for request in requests:
            self.done[request.owner.name].append(request.event.erasure_id)
        return [Deleted(request.event.erasure_id) for request in requests]


@contextlib.asynccontextmanager
async def reading(site: Worksite, store: SlowStore) -> AsyncIterator[tuple[Pipeline, HeldEntries]]:
    """Read the streams into a pipeline that deletes by this store."""
    await site.create_groups()
    pipeline, held = pipeline_on(site.redis, store.delete, MESSAGES)
    url = site.parts.plan.redis_url
    reader = Subscriptions(url, source_streams(1), consumer="here", offer=pipeline.offer, read_entries=50)
    running = asyncio.create_task(pipeline.run())
    await reader.start()
    try:
        yield pipeline, held
    finally:
        await reader.stop()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def delete(site: Worksite, user: str, number: int) -> list[str]:
    """Append requests to delete messages as ingest does; return their ids."""
    erasures = [f"0-{user}-{index}" for index in range(number)]
    for erasure in erasures:
        event = MessageDeleted(tenant="acme", user_id=user, message_id=erasure, erasure_id=erasure, deleted_at=START)
        await site.redis.xadd(site.stream, {keys.TYPE_FIELD: event.type, keys.DATA_FIELD: event.model_dump_json()})
    return erasures


async def waiting(site: Worksite) -> set[str]:
    """Give the ids of the entries that are read and not acknowledged."""
    return {entry["message_id"].decode() for entry in await site.pending()}


async def test_a_message_is_stored_while_deletions_of_somebody_else_are_slow(site: Worksite) -> None:
    store = SlowStore()
    async with reading(site, store) as (_, held):
        await delete(site, "ana", 200)
        (said,) = await site.say(["just said"], user="bo")

        async def is_stored() -> bool:
            groups = await site.redis.xinfo_groups(site.stream)
            return groups[0]["lag"] == 0 and said not in await waiting(site)

        await until(is_stored, "the message is acknowledged, while no deletion is done")
        assert not store.done
        # Their leases are renewed meanwhile.
        assert {delivery.entry_id for delivery in held.entries} == await waiting(site)
        assert len(await site.pending()) == 200


async def test_when_they_go_on_all_are_done_each_owners_in_order(site: Worksite) -> None:
    store = SlowStore()
    async with reading(site, store):
        expected = {f"acme/{user}": await delete(site, user, 60) for user in ("ana", "bo")}
        await until(lambda: store.begun == set(expected), "those of both have begun")
        store.is_open.set()
        await site.finished()

    assert store.done == expected


async def test_deletions_leave_room_for_other_streams(site: Worksite) -> None:
    store = SlowStore()
    async with reading(site, store) as (_, held):
        await delete(site, "ana", 2 * MESSAGES)
        await until(lambda: len(held.entries) > 0.5 * MESSAGES, "the reader waits")
        await site.say(["imported"], lane="bulk")

        async def is_stored() -> bool:
            groups = await site.redis.xinfo_groups(keys.stream(0, "bulk"))
            return bool(groups[0]["lag"] == 0 and groups[0]["pending"] == 0)

        await until(is_stored, "what is on the other stream is acknowledged")
        assert len(held.entries) <= 0.5 * MESSAGES + 50 + 1


@pytest.mark.parametrize("is_in_time", [True, False])
async def test_at_the_end_deletions_are_finished_or_stay_pending(site: Worksite, *, is_in_time: bool) -> None:
    store = SlowStore()
    async with reading(site, store) as (pipeline, held):
        await delete(site, "ana", 20)
        await until(lambda: len(held.entries) == 20, "they are in progress")
        pipeline.close()
        if is_in_time:
            store.is_open.set()
            await site.finished()

    assert len(held.entries) == len(await site.pending()) == (0 if is_in_time else 20)
