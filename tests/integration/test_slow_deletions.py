"""Requests to delete don't hold up the reading, however slow they are: on a real Redis."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence

import pytest
from integration.worksite import Worksite
from unit.manual_clock import START
from unit.pipelines import Parts, pipeline_on
from waiting import until

from memstream.contracts import keys
from memstream.contracts.events import MessageDeleted
from memstream.embedder.jobs import Deleted, DeletionRequest, Outcome
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
async def reading(site: Worksite, store: SlowStore) -> AsyncIterator[Parts]:
    """Read the streams into a pipeline that deletes by this store."""
    await site.create_groups()
    parts = pipeline_on(site.redis, store.delete, MESSAGES)
    pipeline = parts.pipeline
    url = site.parts.plan.redis_url
    reader = Subscriptions(url, source_streams(1), consumer="here", offer=pipeline.offer, read_entries=50)
    running = asyncio.create_task(pipeline.run())
    await reader.start()
    try:
        yield parts
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


def names(parts: Parts) -> set[str]:
    """Give the ids of the entries whose leases are renewed."""
    return {delivery.entry_id for delivery in parts.held.entries} | {entry.entry_id for entry in parts.parked}


async def are_renewed(site: Worksite, parts: Parts) -> bool:
    """Say whether the entries whose leases are renewed are those that are pending."""
    return names(parts) == await waiting(site)


async def test_a_message_is_stored_while_deletions_of_somebody_else_are_slow(site: Worksite) -> None:
    store = SlowStore()
    async with reading(site, store) as parts:
        await delete(site, "ana", 200)
        (said,) = await site.say(["just said"], user="bo")

        async def is_stored() -> bool:
            groups = await site.redis.xinfo_groups(site.stream)
            return groups[0]["lag"] == 0 and said not in await waiting(site)

        await until(is_stored, "the message is acknowledged, while no deletion is done")
        assert not store.done
        # Their leases are renewed meanwhile.
        await until(lambda: are_renewed(site, parts), "all that waits keeps its lease, and nothing else")
        assert len(await site.pending()) == 200


async def test_when_they_go_on_all_are_done_each_owners_in_order(site: Worksite) -> None:
    store = SlowStore()
    async with reading(site, store):
        expected = {f"acme/{user}": await delete(site, user, 60) for user in ("ana", "bo")}
        await until(lambda: store.begun == set(expected), "those of both have begun")
        store.is_open.set()
        await site.finished()

    assert store.done == expected


async def test_any_number_of_deletions_leaves_the_reading_to_others(site: Worksite) -> None:
    store = SlowStore()
    async with reading(site, store) as parts:
        await delete(site, "ana", 5 * MESSAGES)
        (said,) = await site.say(["just said"], user="bo")
        await site.say(["imported"], lane="bulk")

        async def are_stored() -> bool:
            groups = await site.redis.xinfo_groups(keys.stream(0, "bulk"))
            is_imported = bool(groups[0]["lag"] == 0 and groups[0]["pending"] == 0)
            read = await site.redis.xinfo_groups(site.stream)
            return is_imported and read[0]["lag"] == 0 and said not in await waiting(site)

        await until(are_stored, "what is behind the deletions, and on the other stream, is acknowledged")
        assert not store.done
        assert len(parts.held.entries) <= 0.5 * MESSAGES
        await until(lambda: are_renewed(site, parts), "all that waits keeps its lease, and nothing else")
        store.is_open.set()
        await site.finished()
    assert len(store.done["acme/ana"]) == 5 * MESSAGES


@pytest.mark.parametrize("is_in_time", [True, False])
async def test_at_the_end_deletions_are_finished_or_stay_pending(site: Worksite, *, is_in_time: bool) -> None:
    store = SlowStore()
    async with reading(site, store) as parts:
        await delete(site, "ana", 20)
        await until(lambda: len(parts.held.entries) == 20, "they are in progress")
        parts.pipeline.close()
        if is_in_time:
            store.is_open.set()
            await site.finished()

    assert len(parts.held.entries) == len(await site.pending()) == (0 if is_in_time else 20)
