"""The collection in Qdrant that is lost, replaced, or refuses what we ask: both services say so, and wait for it."""

import pytest
import pytest_asyncio
from integration.test_late_writes import is_deleted, start_deletion
from integration.worksite import Worksite
from waiting import until

from memstream.contracts import keys

SERVICES = ("embedder-1", "retriever-1")


@pytest_asyncio.fixture
async def served(site: Worksite) -> Worksite:
    """Run both services, with a message that is stored."""
    await site.work()
    await site.serve()
    await site.say(["before"])
    await site.finished()
    return site


async def both_not_ready_for(site: Worksite, reason: str) -> None:
    """Wait until both services say why they are not ready."""
    for name in SERVICES:
        await site.not_ready_for(reason, name)


async def both_ready(site: Worksite) -> None:
    """Wait until both services are ready."""
    for name in SERVICES:
        await until(lambda name=name: site.is_ready(name), f"{name} is ready")  # type: ignore[misc]


async def test_a_lost_collection_is_not_made_anew_and_work_goes_on_when_it_is_restored(served: Worksite) -> None:
    info = await served.describe_collection()
    await served.delete_collection()
    await both_not_ready_for(served, "is lost: restore it")
    await served.say(["meanwhile"])
    await until(served.pending, "the message is read")
    await served.parts.kill("embedder-1")
    await served.work(ready=False)
    await both_not_ready_for(served, "is lost: restore it")
    async with served.parts.qdrant() as qdrant:
        assert (await qdrant.get(f"/collections/{served.collection}")).status_code == 404

    await served.put_collection(info)
    await both_ready(served)
    await served.finished()
    assert await served.stored() == {"meanwhile": [0]}


async def test_a_collection_in_its_place_is_noticed_and_nothing_is_stored_in_it(served: Worksite) -> None:
    info = await served.describe_collection()
    await served.delete_collection()
    await served.put_collection({**info, "config": {**info["config"], "metadata": None}})
    await both_not_ready_for(served, "is not the one that messages were stored in")
    await served.say(["meanwhile"])
    await until(served.pending, "the message is read")
    await served.not_ready_for("is not the one that messages were stored in")
    assert await served.points() == []

    await served.delete_collection()
    await served.put_collection(info)
    await both_ready(served)
    await served.finished()
    assert await served.stored() == {"meanwhile": [0]}


@pytest.mark.parametrize("known", ["nothing", "a proposal"])
async def test_a_collection_of_an_earlier_release_gets_an_identity(site: Worksite, known: str) -> None:
    await site.work()
    info = await site.describe_collection()
    await site.parts.kill("embedder-1")
    name = keys.collection_identity(site.collection)
    await site.delete_collection()
    await site.put_collection({**info, "config": {**info["config"], "metadata": None}}, without_index="chunk")
    await site.redis.delete(name)
    if known == "a proposal":
        await site.redis.set(name, "proposed:of a worker that was killed")

    await site.work()
    await site.say(["then"])
    await site.finished()
    now = await site.describe_collection()
    assert now["config"]["metadata"]["memstream"]["identity"].encode() == await site.redis.get(name)
    assert "chunk" in now["payload_schema"]
    assert await site.stored() == {"then": [0]}


async def test_a_redis_that_lost_the_identity_learns_it_from_the_collection(served: Worksite) -> None:
    name = keys.collection_identity(served.collection)
    before = await served.redis.get(name)
    await served.redis.delete(name)
    await served.parts.kill("embedder-1")
    await served.work()
    assert await served.redis.get(name) == before


async def test_what_strict_mode_refuses_makes_both_services_not_ready_and_no_deletion_fails(served: Worksite) -> None:
    await served.change_collection(without_index="chunk", strict=True)
    await served.say(["then"])
    await both_not_ready_for(served, "index required but not found for")
    deletion = await start_deletion(served, "then")
    await until(served.pending, "the deletion is read")
    await served.not_ready_for("index required but not found for")

    await served.put_index("chunk", "integer")
    await both_ready(served)
    await until(lambda: is_deleted(served, deletion), "the receipt says that it is done")
    assert await served.letters() == []
    assert await served.stored() == {}
