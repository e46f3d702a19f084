"""A write to Qdrant that comes late, from a worker that is long gone, brings nothing back."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from integration.worksite import Worksite
from qdrant_proxy import QdrantProxy, proxied
from waiting import PATIENCE, until

from memstream.contracts.keys import Position
from memstream.contracts.messages import Erasure
from memstream.ingest.durability import Durability
from memstream.ingest.erasures import ErasureRequest, Erasures
from memstream.runtime.clock import SystemClock
from memstream.streams.partitioning import PartitionRecord
from memstream.vectors.space import EmbeddingSpace
from memstream.vectors.store import owner_of, without_retention
from memstream.vectors.store.qdrant import QdrantStore

SAID = "The lamp in the hall is broken."
LONG = SAID + " The caretaker knows." * 400


@pytest_asyncio.fixture
async def proxy(site: Worksite) -> AsyncIterator[QdrantProxy]:
    """Stand between the first worker and Qdrant."""
    async with proxied(site.parts.qdrant()) as proxy:
        yield proxy


async def stall(site: Worksite, proxy: QdrantProxy, marker: str, text: str) -> None:
    """Let a worker take a message up, keep back its requests that contain the marker, and kill it."""
    await site.work("embedder-1", qdrant_url=proxy.url, claim_idle=1)
    proxy.marker = marker
    proxy.open.clear()
    await site.say([text])
    await until(lambda: proxy.held > 0, "the request is kept back")
    await site.parts.kill("embedder-1")


async def let_through(proxy: QdrantProxy) -> None:
    """Let everything through, and wait until Qdrant has answered it."""
    expected = proxy.answered + proxy.held
    proxy.open.set()
    await until(lambda: proxy.answered >= expected, "Qdrant has answered")


async def start_deletion(site: Worksite, message_id: str | None) -> str:
    """Delete a message of Ana's, or all of hers, as ingest does; give the id of the receipt."""
    asked = await _erasures(site).request(ErasureRequest("acme", "ana", message_id, SystemClock().now()), "e-1")
    assert asked is not None
    return asked


async def is_deleted(site: Worksite, erasure_id: str) -> bool:
    """Say whether the receipt says that it is done; it must not say that it failed."""
    receipt: Erasure | None = await _erasures(site).receipt(erasure_id, "acme")
    assert receipt is None or receipt.state != "failed"
    return receipt is not None and receipt.state == "done"


def _erasures(site: Worksite) -> Erasures:
    durability = Durability(site.redis, require_fsync=False, timeout=PATIENCE)
    return Erasures(site.redis, durability, PartitionRecord(site.redis, 1), lifetime=60)


async def request_deletion(site: Worksite, message_id: str | None) -> None:
    """Delete a message of Ana's, or all of hers, as ingest does; wait until the receipt says that it is done."""
    asked = await start_deletion(site, message_id)
    await until(lambda: is_deleted(site, asked), "the receipt says that it is done")


@pytest.mark.parametrize(
    ("text", "message_id"), [(SAID, SAID), (LONG, LONG[:60]), (SAID, None)], ids=["short", "long", "erased user"]
)
async def test_a_late_write_of_a_killed_worker_does_not_bring_back_what_was_deleted(
    site: Worksite, proxy: QdrantProxy, text: str, message_id: str | None
) -> None:
    await stall(site, proxy, SAID, text)
    await site.work("embedder-2", claim_idle=1)
    await site.finished()
    assert list(await site.stored()) == [text[:60]]
    await request_deletion(site, message_id)
    assert await site.points() == []

    await let_through(proxy)

    assert await site.points() == []


async def test_a_deletion_before_anybody_took_the_message_over_holds_too(site: Worksite, proxy: QdrantProxy) -> None:
    await stall(site, proxy, SAID, SAID)
    await site.work("embedder-2", claim_idle=600)
    await request_deletion(site, SAID)

    await let_through(proxy)

    assert await site.points() == []


async def test_a_late_reservation_leaves_no_word_is_found_by_nothing_and_is_swept(
    site: Worksite, proxy: QdrantProxy
) -> None:
    await stall(site, proxy, "insert_only", SAID)
    await site.work("embedder-2", claim_idle=1)
    await site.finished()
    await request_deletion(site, SAID)

    await let_through(proxy)

    (left,) = await site.points()
    assert set(left) == {"owner", "chunks", "entry_ms", "reserved", "reserved_ms"}
    store = QdrantStore(
        EmbeddingSpace("simulated", 32),
        url=site.parts.url("qdrant"),
        api_key=site.parts.plan.qdrant_api_key,
        collection=site.collection,
        timeout=PATIENCE,
        expiry=without_retention(SystemClock().now),
    )
    await store.release_abandoned(SystemClock().now())
    assert await site.points() == []
    await store.aclose()


async def test_what_was_said_anew_after_an_erasure_is_not_overwritten_by_a_late_write(
    site: Worksite, proxy: QdrantProxy
) -> None:
    await stall(site, proxy, SAID, SAID)
    await site.work("embedder-2", claim_idle=1)
    await request_deletion(site, None)
    (entry,) = await site.say([SAID])
    await site.finished()

    await let_through(proxy)

    (point,) = await site.points()
    assert point["entry"] == str(Position(0, "live", entry))


async def test_an_entry_that_is_delivered_again_is_not_written_again(site: Worksite) -> None:
    await site.work()
    await site.say(["twice", LONG])
    await site.finished()
    # As if the acknowledgement had been lost.
    before = [{**point, "reserved": None} for point in await site.points()]
    await site.redis.xgroup_setid(site.stream, "embedder", "0")
    await site.finished()

    assert [{**point, "reserved": None} for point in await site.points()] == before
    assert owner_of("acme", "ana").name == before[0]["owner"]
