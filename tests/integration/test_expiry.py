"""What has expired is never found, swept or not: by a running stack, and by a clock that the test sets."""

from collections.abc import AsyncIterator, Collection
from datetime import UTC, datetime, timedelta
from inspect import getmembers
from uuid import UUID

import httpx
import numpy as np
import pytest
import pytest_asyncio
from exchanges import post, search
from running_stack import RunningStack
from waiting import PATIENCE, until

from memstream.runtime.clock import SystemClock
from memstream.vectors.space import EmbeddingSpace, Projection
from memstream.vectors.store import (
    CandidateQuery,
    EmbeddedChunk,
    EndedBy,
    Expiry,
    FirstChunks,
    MemoryStore,
    Neighbours,
    Owner,
    RecordedBefore,
    StoredMessage,
    Sweepable,
    TimelinePosition,
    owner_of,
    without_retention,
)
from memstream.vectors.store.qdrant import QdrantStore

TENANT = "local"
TEXT = "The password is under the keyboard."
_VECTOR = np.full(384, 0.05, np.float32)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)

READS = {"propose", "fetch", "list_from", "speakers", "project"}
WRITES = {"store", "reserve", "fill", "release", "release_abandoned", "delete_messages", "delete_all", "sweep"}
OTHERS = {"ensure", "check", "residue", "note_settled", "count", "count_messages", "find_messages", "aclose"}


class Asker:
    """Asks a store in every way there is, at a time that the test sets."""

    def __init__(self, stack: RunningStack) -> None:
        self.now = SystemClock().now()
        self.recorded_since: datetime | None = None
        space = EmbeddingSpace(stack.info.embedding_model, 384)
        self.store = QdrantStore(
            space,
            url=stack.info.qdrant_url,
            api_key=stack.info.qdrant_api_key,
            collection=stack.info.collection,
            timeout=PATIENCE,
            expiry=self._expiry,
        )

    async def _expiry(self, _: Owner) -> Expiry:
        return Expiry(self.now, self.recorded_since)

    async def finds(self, user: str) -> set[str]:
        """Return the ways in which anything of a user is found."""
        owner = owner_of(TENANT, user)
        start = TimelinePosition(datetime(1970, 1, 1, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC), str(UUID(int=0)))
        answers = await self.store.propose(
            [
                CandidateQuery(owner, vector, text, 100)
                for vector, text in ((_VECTOR, None), (None, "password"), (_VECTOR, "password"))
            ]
        )
        (firsts,), (turns,) = await self.store.fetch(
            [FirstChunks(owner, ("m", "long"))], [Neighbours(owner, "talk", start, 10)]
        )
        found: dict[str, Collection[object]] = {
            f"candidates {number}": answer.messages or answer.dense or answer.keyword or ()
            for number, answer in enumerate(answers)
        }
        found |= {"first chunks": firsts, "neighbours": (*turns.before, *turns.after)}
        found |= {
            "list from the start": await self.store.list_from(owner, (), None, 10),
            "list from a position": await self.store.list_from(owner, (), start, 10),
            "speakers": await self.store.speakers(owner),
        }
        return {way for way, answer in found.items() if answer}


WAYS = {
    *("candidates 0", "candidates 1", "candidates 2"),
    *("first chunks", "neighbours", "list from the start", "list from a position", "speakers"),
}


@pytest_asyncio.fixture
async def asker(stack: RunningStack) -> AsyncIterator[Asker]:
    """Open the running stack's collection."""
    opened = Asker(stack)
    yield opened
    await opened.store.aclose()


async def say(stack: RunningStack, user: str, **fields: object) -> None:
    """Say a short and a long message in one conversation, and wait until they are searchable."""
    for message_id, text in (("m", TEXT), ("long", " ".join([TEXT] * 60))):
        sent = await post(
            stack.ingest, user, text, message_id=message_id, conversation_id="talk", speaker="Zoe", **fields
        )
        await search(stack.retriever, user, "x", wait_for=[sent["position"]])


def test_every_way_of_reading_is_asked_here() -> None:
    methods = {name for name, _ in getmembers(MemoryStore, callable) if not name.startswith("_")}

    assert methods == READS | WRITES | OTHERS


async def test_what_has_expired_is_found_in_no_way_though_it_is_still_stored(
    stack: RunningStack, asker: Asker, user: str
) -> None:
    ends_at = asker.now + _HOUR
    await say(stack, user, expires_at=ends_at.isoformat())
    stored = await asker.store.count(TENANT)

    asker.now = ends_at - timedelta(microseconds=1)
    assert await asker.finds(user) == WAYS
    asker.now = ends_at
    assert await asker.finds(user) == set()
    assert await asker.store.count(TENANT) == stored


async def test_what_its_tenant_keeps_no_longer_is_found_in_no_way(stack: RunningStack, asker: Asker, user: str) -> None:
    await say(stack, user, occurred_at="2001-02-03T04:05:06Z")

    # By the time of recording: what is imported today is kept from today, however long ago it was said.
    asker.recorded_since = asker.now - _DAY
    assert await asker.finds(user) == WAYS
    asker.recorded_since = asker.now + _DAY
    assert await asker.finds(user) == set()
    # A longer retention holds for what is stored already.
    asker.recorded_since = asker.now - _DAY
    assert await asker.finds(user) == WAYS


@pytest_asyncio.fixture
async def collection(stack: RunningStack, user: str) -> AsyncIterator[QdrantStore]:
    """Open a collection of the test's own, with messages of two tenants."""
    store = QdrantStore(
        EmbeddingSpace("swept", 3),
        url=stack.info.qdrant_url,
        api_key=stack.info.qdrant_api_key,
        collection="".join(filter(str.isalnum, f"swept{user}")),
        timeout=PATIENCE,
        expiry=without_retention(lambda: NOON),
    )
    await store.ensure()
    await store.store(
        [
            chunk("acme", "kept", NOON),
            chunk("acme", "ends", NOON, expires_at=NOON + _HOUR),
            chunk("acme", "old", NOON - _DAY),
            chunk("other", "old", NOON - _DAY),
        ]
    )
    yield store
    await store.aclose()


def chunk(tenant: str, message_id: str, recorded_at: datetime, expires_at: datetime | None = None) -> EmbeddedChunk:
    """Make a short message."""
    owner = owner_of(tenant, "ana")
    message = StoredMessage(
        owner=owner.name,
        message_id=message_id,
        text="x",
        occurred_at=NOON,
        recorded_at=recorded_at,
        expires_at=expires_at,
    )
    return EmbeddedChunk(owner, message, np.array([1, 0, 0], np.float32), "x")


async def left(store: QdrantStore) -> set[str]:
    """Name what a collection has."""
    return {
        f"{tenant} {record.message.message_id}"
        for tenant in ("acme", "other")
        for record in await store.list_from(owner_of(tenant, "ana"), (), None, 10)
    }


ALL = {"acme kept", "acme ends", "acme old", "other old"}


@pytest.mark.parametrize(
    ("which", "gone"),
    [
        (EndedBy(NOON + _HOUR - timedelta(microseconds=1)), set()),
        (EndedBy(NOON + _HOUR), {"acme ends"}),
        (RecordedBefore(NOON - _DAY, ("acme", "other")), set()),
        (RecordedBefore(NOON, ("acme",)), {"acme old"}),
        (RecordedBefore(NOON, ("acme", "third")), {"acme old"}),
        (RecordedBefore(NOON, ("third",)), set()),
        (RecordedBefore(NOON, ("acme",), others=True), {"other old"}),
        (RecordedBefore(NOON, (), others=True), {"acme old", "other old"}),
        (RecordedBefore(NOON, ()), set()),
    ],
)
async def test_a_sweep_removes_what_has_expired_and_nothing_else(
    collection: QdrantStore, which: Sweepable, gone: set[str]
) -> None:
    # In steps of one, as when the sweeper is killed between any two of them.
    swept = [await collection.sweep(which, 1) for _ in range(len(gone) + 1)]

    assert swept == [1] * len(gone) + [0]
    assert await left(collection) == ALL - gone


async def test_a_projection_leaves_out_what_has_expired(stack: RunningStack, collection: QdrantStore) -> None:
    def opened(space: EmbeddingSpace, now: datetime) -> QdrantStore:
        return QdrantStore(
            space,
            url=stack.info.qdrant_url,
            api_key=stack.info.qdrant_api_key,
            collection=collection._collection.name,
            timeout=PATIENCE,
            expiry=without_retention(lambda: now),
        )

    target = EmbeddingSpace("swept", 3, projection=Projection(np.eye(3, dtype=np.float32)[:, :2]))
    later, projected = opened(EmbeddingSpace("swept", 3), NOON + _HOUR), opened(target, NOON)
    try:
        assert await later.project(owner_of("acme", "ana"), target) is None
        (found,) = await projected.propose([CandidateQuery(owner_of("acme", "ana"), np.ones(2, np.float32), None, 10)])
        assert {message.message_id for message in found.messages.values()} == {"kept", "old"}
    finally:
        await later.aclose()
        await projected.aclose()


async def test_stored_messages_are_counted_by_tenant(collection: QdrantStore) -> None:
    assert [await collection.count(tenant) for tenant in ("acme", "other", "third")] == [3, 1, 0]


async def test_over_http_it_is_gone_at_its_time(stack: RunningStack, user: str) -> None:
    ends_at = SystemClock().now() + timedelta(seconds=3)
    sent = await post(stack.ingest, user, TEXT, message_id="m", speaker="Zoe", expires_at=ends_at.isoformat())
    kept = await post(stack.ingest, user, "Something else entirely.", message_id="kept")
    await search(stack.retriever, user, "x", wait_for=[sent["position"], kept["position"]])

    async def ids() -> list[set[str]]:
        timeline = await stack.retriever.get("/v1/timeline", params={"user_id": user})
        context = await stack.retriever.post(
            "/v1/context", json={"user_id": user, "query": "password", "token_budget": 500}
        )
        hits = [
            {hit["message_id"] for hit in (await search(stack.retriever, user, "password", mode=mode))["hits"]}
            for mode in ("hybrid", "dense", "keyword")
        ]
        return [
            *hits,
            {one["message_id"] for one in timeline.json()["messages"]},
            {one["message_id"] for one in context.json()["citations"]},
        ]

    async def gone() -> bool:
        return not any("m" in found for found in await ids())

    await until(gone, "an expired message is found no more")
    assert SystemClock().now() >= ends_at
    state = await stack.ingest.get("/v1/messages/state", params={"user_id": user, "message_id": "m"})
    assert state.json()["state"] == "expired"
    assert await _state(stack.ingest, user, "kept") == "stored"


async def _state(ingest: httpx.AsyncClient, user: str, message_id: str) -> str:
    answer = await ingest.get("/v1/messages/state", params={"user_id": user, "message_id": message_id})
    return str(answer.json()["state"])


async def test_a_message_that_comes_after_its_time_is_accepted_and_never_stored(stack: RunningStack, user: str) -> None:
    over = (SystemClock().now() - _HOUR).isoformat()
    sent = await post(stack.ingest, user, TEXT, message_id="m", expires_at=over)

    found = await search(stack.retriever, user, "password", wait_for=[sent["position"]])

    assert (found["hits"], found["pending"]) == ([], [])
    assert await _state(stack.ingest, user, "m") == "expired"


@pytest.mark.parametrize("ends_at", ["2001-02-03T04:05:06Z", "2999-02-03T04:05:06", 7, "tomorrow"])
async def test_an_end_without_a_time_zone_or_long_ago_is_refused(
    stack: RunningStack, user: str, ends_at: object
) -> None:
    answer = await stack.ingest.post("/v1/messages", json={"user_id": user, "text": "x", "expires_at": ends_at})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "expires_at"
