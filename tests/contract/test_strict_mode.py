"""Strict mode: whatever we ask of Qdrant has an index, and what an operator forbids is noticed at once."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from contract.qdrant_backends import Backend
from qdrant_client import models
from qdrant_client.http.exceptions import UnexpectedResponse
from waiting import PATIENCE

from memstream.contracts.keys import Position
from memstream.runtime.clock import SystemClock
from memstream.runtime.errors import GlobalFault
from memstream.vectors.space import EmbeddingSpace
from memstream.vectors.store import (
    CandidateQuery,
    EmbeddedChunk,
    EndedBy,
    FirstChunks,
    MetadataIsOneOf,
    Neighbours,
    NewVersion,
    Reservation,
    StoredMessage,
    TimelinePosition,
    owner_of,
    without_retention,
)
from memstream.vectors.store.identity import KeptIdentity
from memstream.vectors.store.qdrant import QdrantStore
from memstream.vectors.store.qdrant.identity import Identification

ANA = owner_of("acme", "ana")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
STRICT = models.StrictModeConfig(enabled=True, unindexed_filtering_retrieve=False, unindexed_filtering_update=False)
UNTIL = Position(0, "live", "9-0")


class Kept:
    """Keeps an identity in memory."""

    def __init__(self) -> None:
        self.identity: KeptIdentity | None = None

    async def read(self) -> KeptIdentity | None:
        """See `IdentityKeeper`."""
        return self.identity

    async def propose(self, value: str) -> None:
        """See `IdentityKeeper`."""
        self.identity = self.identity or KeptIdentity(value, is_confirmed=False)

    async def confirm(self, value: str) -> None:
        """See `IdentityKeeper`."""
        self.identity = KeptIdentity(value, is_confirmed=True)

    async def begin_restoring(self, value: str) -> None:
        """See `IdentityKeeper`."""
        self.identity = KeptIdentity(value, is_confirmed=True, is_restoring=True)


def open_store(backend: Backend, name: str, kept: Kept) -> QdrantStore:
    """Open the store, as services do."""
    if backend.is_reference:
        pytest.skip("the in-memory reference has no HTTP")
    return QdrantStore(
        EmbeddingSpace("model", 3),
        url=backend.url,
        api_key=backend.api_key,
        collection=name,
        timeout=PATIENCE,
        expiry=without_retention(lambda: NOW),
        identification=Identification(kept, lambda: "an identity", SystemClock()),
    )


@pytest_asyncio.fixture
async def store(qdrant_backend: Backend, qdrant_name: str) -> AsyncIterator[QdrantStore]:
    """Open a collection of this test's own, in which unindexed fields are not to be asked for."""
    opened = open_store(qdrant_backend, qdrant_name, Kept())
    await opened.ensure()
    await qdrant_backend.client.update_collection(qdrant_name, strict_mode_config=STRICT)
    yield opened
    await opened.aclose()
    await qdrant_backend.client.delete_collection(qdrant_name)


def message(text: str) -> StoredMessage:
    """Make a message of ana's."""
    return StoredMessage(
        owner=ANA.name, message_id=text, text=text, occurred_at=NOW, recorded_at=NOW, metadata={"n": 1}, entry_ms=5,
        entry="0:live:5-0", conversation_id="c", speaker="Ana"
    )  # fmt: skip


async def say(store: QdrantStore, text: str) -> None:
    """Store a message."""
    reservation = Reservation(ANA, text, 1, Position(0, "live", "5-0"))
    await store.reserve([reservation], text, NOW)
    chunk = EmbeddedChunk(ANA, message(text), np.ones(3, np.float32), text)
    assert await store.fill([NewVersion(reservation, (chunk,), 0)], text) == [True]


async def test_all_that_is_asked_of_the_store_passes_strict_mode(store: QdrantStore) -> None:
    await store.ensure()
    await store.check()
    await say(store, "one")
    await say(store, "two")
    wanted = (MetadataIsOneOf("n", (1,)),)
    (found,) = await store.propose([CandidateQuery(ANA, np.ones(3, np.float32), "one", 10, wanted)])
    assert {each.text for each in found.messages.values()} == {"one", "two"}
    (first, _) = await store.list_from(ANA, wanted, None, 10)
    await store.list_from(ANA, wanted, TimelinePosition.of(first.id, first.message), 10)
    around = Neighbours(ANA, "c", TimelinePosition.of(first.id, first.message), 1)
    firsts, _ = await store.fetch([FirstChunks(ANA, ("one",))], [around])
    assert [list(each) for each in firsts] == [["one"]]
    assert await store.speakers(ANA) == ["Ana"]
    assert await store.find_messages(ANA, {"one": UNTIL, "three": UNTIL}) == {"one"}
    await store.delete_messages(ANA, {"one": UNTIL})
    assert (await store.count("acme"), await store.count_messages(ANA, UNTIL)) == (1, 1)
    await store.delete_all(ANA, UNTIL)
    await store.release([Reservation(ANA, "one", 1, UNTIL)], NOW)
    await store.release_abandoned(NOW)
    assert await store.sweep(EndedBy(NOW), 10) == 0
    assert await store.count("acme") == 0


@pytest.mark.parametrize("field", ["chunk", "entry_ms", "expires_at"])
async def test_what_needs_an_index_that_is_missing_is_an_operators_fault(
    qdrant_backend: Backend, qdrant_name: str, field: str
) -> None:
    opened = open_store(qdrant_backend, qdrant_name, Kept())
    await opened.ensure()
    await without_index(qdrant_backend, qdrant_name, field)
    refused = opened.delete_all(ANA, UNTIL) if field == "entry_ms" else opened.check()
    with pytest.raises(GlobalFault, match=re.escape(f'index required but not found for "{field}"')):
        await refused
    await opened.ensure()
    await opened.check()
    await opened.delete_all(ANA, UNTIL)
    await opened.aclose()
    await qdrant_backend.client.delete_collection(qdrant_name)


async def without_index(backend: Backend, name: str, field: str) -> None:
    """Make the collection anew as it is, but without an index, and strict."""
    info = await backend.client.get_collection(name)
    await backend.client.delete_collection(name)
    params: Any = info.config.params
    await backend.client.create_collection(
        name,
        vectors_config=params.vectors,
        sparse_vectors_config=params.sparse_vectors,
        hnsw_config=models.HnswConfigDiff(m=0, payload_m=16),
        metadata=info.config.metadata,
        strict_mode_config=STRICT,
    )
    for each, schema in info.payload_schema.items():
        if each != field:
            await backend.client.create_payload_index(name, each, schema.params or schema.data_type, wait=True)


@pytest.mark.usefixtures("store")
async def test_a_filter_on_an_unindexed_field_is_refused_in_every_request(
    qdrant_backend: Backend, qdrant_name: str
) -> None:
    client = qdrant_backend.client
    by_number = models.FieldCondition(key="nowhere", match=models.MatchValue(value=1))
    by_range = models.FieldCondition(key="owner", range=models.Range(gt=1))
    inner = models.Filter(must_not=[models.Filter(should=[by_range])])
    for which in (models.Filter(must=[by_number]), inner):
        selector = models.FilterSelector(filter=which)
        for request in (
            client.scroll(qdrant_name, scroll_filter=which),
            client.count(qdrant_name, which),
            client.facet(qdrant_name, "owner", facet_filter=which),
            client.query_batch_points(qdrant_name, [models.QueryRequest(filter=which, limit=1)]),
            client.delete(qdrant_name, selector, wait=True),
            client.set_payload(qdrant_name, {"a": 1}, selector, wait=True),
            client.batch_update_points(qdrant_name, [models.DeleteOperation(delete=selector)], wait=True),
        ):
            with pytest.raises(UnexpectedResponse, match="Index required but not found"):
                await request
    empty = models.FieldCondition(key="nowhere", match=models.MatchAny(any=[]))
    assert (await client.count(qdrant_name, models.Filter(must=[empty]))).count == 0
