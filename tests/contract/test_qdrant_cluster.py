"""The fence on a Qdrant cluster: two workers that write the same messages, while a node is cut off or killed."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar

import engines
import numpy as np
import pytest
import pytest_asyncio
from engines import collection_name
from qdrant_client import AsyncQdrantClient, models
from qdrant_cluster import Cluster, Node, clustered
from waiting import PATIENCE, until

from memstream.contracts.keys import Position
from memstream.runtime.errors import GlobalFault, Unavailable
from memstream.vectors.space import EmbeddingSpace
from memstream.vectors.store import EmbeddedChunk, NewVersion, Reservation, StoredMessage, owner_of, without_retention
from memstream.vectors.store.qdrant import QdrantStore
from memstream.vectors.store.qdrant.copies import Agreement, Copies

AnswerT = TypeVar("AnswerT")

ANA = owner_of("acme", "ana")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MESSAGES = 60
THREE = Copies(shard_number=3, replication_factor=3, write_consistency_factor=2)
AGREED = Agreement(ordering="medium", consistency="quorum")

pytestmark = pytest.mark.timeout(600)
"""Seconds: a node that was cut off is caught up with before the next fault."""


_open: list[QdrantStore] = []


@pytest_asyncio.fixture(autouse=True)
async def _closed() -> AsyncIterator[None]:
    yield
    while _open:
        await _open.pop().aclose()


@pytest_asyncio.fixture(scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    """Run three nodes."""
    binary = engines.chosen().qdrant_binary
    if binary is None:
        pytest.skip("no --qdrant-binary to start a cluster from")
    async with clustered(binary, tmp_path_factory.mktemp("cluster")) as running:
        yield running


def opened(node: Node, name: str, agreement: Agreement = AGREED) -> QdrantStore:
    """Open the collection through a node."""
    store = QdrantStore(
        EmbeddingSpace("model", 3),
        url=node.url,
        api_key=None,
        collection=name,
        timeout=10,
        expiry=without_retention(lambda: NOW),
        copies=THREE,
        agreement=agreement,
    )
    _open.append(store)
    return store


async def insist(call: Callable[[], Awaitable[bool]]) -> bool:
    """Call, as workers do; say False if there is no answer, and it is to be called again."""
    try:
        return await call()
    except (Unavailable, GlobalFault):
        return False


async def work(store: QdrantStore, worker: str, number: int) -> None:
    """Store a message as a worker does: until it is stored, by oneself or by another."""
    entry = Position(0, "live", f"{number + 1}-0")
    attempts = 0

    async def attempt() -> bool:
        nonlocal attempts
        attempts += 1
        token = f"{worker}-{number}-{attempts}"
        reservation = Reservation(ANA, f"m{number}", 1, entry)
        (stored,) = await store.reserve([reservation], token, NOW)
        if stored is not None and stored.is_complete and stored.entry == entry:
            return True
        message = StoredMessage(
            owner=ANA.name,
            message_id=f"m{number}",
            text=f"text {number}",
            occurred_at=NOW,
            recorded_at=NOW,
            entry_ms=entry.milliseconds,
            entry=str(entry),
        )
        chunk = EmbeddedChunk(ANA, message, np.ones(3, np.float32), message.text)
        (done,) = await store.fill([NewVersion(reservation, (chunk,), 0)], token)
        return done

    await until(lambda: insist(attempt), "the message is stored")


async def contend(stores: list[QdrantStore], messages: int, stored: list[int] | None = None) -> None:
    """Have every worker store every message, all at the same time; `stored` gets a number for each that is."""

    async def walk(worker: int, store: QdrantStore) -> None:
        numbers = asyncio.Semaphore(8)

        async def one(number: int) -> None:
            async with numbers:
                await work(store, f"w{worker}", number)
                if stored is not None:
                    stored.append(number)

        await asyncio.gather(*(one(number) for number in range(messages)))

    await asyncio.gather(*(walk(worker, store) for worker, store in enumerate(stores)))


async def differing(cluster: Cluster, name: str, messages: int) -> list[str]:
    """Give the messages that not all copies have alike, by asking for what all of them agree on."""
    await until(lambda: cluster.has_healed(name), "all copies are there")
    client = AsyncQdrantClient(url=cluster.nodes[0].url, check_compatibility=False, timeout=int(PATIENCE))
    ids: list[models.ExtendedPointId] = [str(ANA.point_id(f"m{number}", 0)) for number in range(messages)]
    found = await client.retrieve(name, ids, consistency=models.ReadConsistencyType.ALL)
    await client.close()
    there = {str(each.id): (each.payload or {}).get("text") for each in found}
    return [f"m{number}" for number in range(messages) if there.get(str(ids[number])) != f"text {number}"]


async def test_two_workers_with_the_same_messages_leave_all_copies_alike(cluster: Cluster) -> None:
    name = collection_name()
    stores = [opened(node, name) for node in cluster.nodes[:2]]
    await stores[0].ensure()
    await contend(stores, MESSAGES)
    assert await differing(cluster, name, MESSAGES) == []


@pytest.mark.parametrize("fault", ["cut off", "killed"])
@pytest.mark.parametrize("which", [1, 2])
async def test_a_node_that_is_lost_costs_no_message_and_no_copy(cluster: Cluster, fault: str, which: int) -> None:
    name = collection_name()
    stores = [opened(node, name) for node in cluster.nodes[:2]]
    await stores[0].ensure()
    lost = cluster.nodes[which]
    done: list[int] = []
    contending = asyncio.create_task(contend(stores if which != 1 else stores[:1] * 2, MESSAGES, done))
    await until(lambda: len(done) > MESSAGES // 10, "the work is under way")
    if fault == "cut off":
        lost.signal(signal.SIGSTOP)
    else:
        await lost.kill()
    try:
        if fault == "cut off":
            await asyncio.wait([contending], timeout=5)
            lost.signal(signal.SIGCONT)
        async with asyncio.timeout(PATIENCE):
            await contending
    finally:
        if fault == "killed":
            await lost.start()
    assert await differing(cluster, name, MESSAGES) == []


async def test_what_is_deleted_while_a_node_is_cut_off_stays_deleted(cluster: Cluster) -> None:
    name = collection_name()
    store, other = (opened(node, name) for node in cluster.nodes[:2])
    await store.ensure()
    reservation = Reservation(ANA, "m0", 1, Position(0, "live", "1-0"))
    await store.reserve([reservation], "early", NOW)
    cluster.nodes[2].signal(signal.SIGSTOP)
    try:
        await until(lambda: insist(lambda: _deleted(other)), "the message is deleted")
    finally:
        cluster.nodes[2].signal(signal.SIGCONT)
    message = StoredMessage(
        owner=ANA.name, message_id="m0", text="text 0", occurred_at=NOW, recorded_at=NOW, entry_ms=1, entry="0:live:1-0"
    )
    late = NewVersion(reservation, (EmbeddedChunk(ANA, message, np.ones(3, np.float32), "text 0"),), 0)
    assert await until_answered(lambda: store.fill([late], "early")) == [False]
    await until(lambda: cluster.has_healed(name), "all copies are there")
    for node in cluster.nodes:
        client = AsyncQdrantClient(url=node.url, check_compatibility=False)
        assert (await client.count(name)).count == 0
        await client.close()


async def _deleted(store: QdrantStore) -> bool:
    await store.delete_messages(ANA, {"m0": Position(0, "live", "2-0")})
    return True


async def until_answered(call: Callable[[], Awaitable[AnswerT]]) -> AnswerT:
    """Call until there is an answer, and give it."""
    answers: list[AnswerT] = []

    async def attempt() -> bool:
        answers.append(await call())
        return True

    await until(lambda: insist(attempt), "there is an answer")
    return answers[0]
