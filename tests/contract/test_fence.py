"""Reserving, filling and deleting by ids, on the embedded Qdrant."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest_asyncio
from contract.qdrant_backends import EdgeServer, fresh_name
from waiting import PATIENCE

from memstream.contracts.keys import Position
from memstream.vectors.space import EmbeddingSpace
from memstream.vectors.store import (
    EmbeddedChunk,
    FirstChunks,
    MemoryStore,
    NewVersion,
    Reservation,
    StoredMessage,
    owner_of,
    without_retention,
)
from memstream.vectors.store.qdrant import QdrantStore

ANA = owner_of("acme", "ana")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest_asyncio.fixture
async def store(qdrant_edge: EdgeServer) -> AsyncIterator[MemoryStore]:
    """Open a collection of this test's own."""
    opened = QdrantStore(
        EmbeddingSpace("model", 3),
        url=qdrant_edge.url,
        api_key=None,
        collection=fresh_name(),
        timeout=PATIENCE,
        expiry=without_retention(lambda: NOW),
    )
    await opened.ensure()
    yield opened
    await opened.aclose()


def reservation(entry: str, chunks: int = 1) -> Reservation:
    """Make the reservation of a message."""
    return Reservation(ANA, "m", chunks, Position(0, "live", entry))


def version(
    entry: str, text: str, chunks: int = 1, replaced: int = 0, expires_at: datetime | None = None
) -> NewVersion:
    """Make a version of a message, of so many chunks."""
    one = reservation(entry, chunks)
    made = tuple(
        EmbeddedChunk(
            ANA,
            StoredMessage(
                owner=ANA.name,
                message_id="m",
                text=text,
                occurred_at=NOW,
                recorded_at=NOW,
                chunk=number,
                chunks=chunks,
                entry_ms=one.entry.milliseconds,
                entry_seq=one.entry.order[1],
                entry=str(one.entry),
                expires_at=expires_at,
            ),
            np.ones(3, np.float32),
            text,
        )
        for number in range(chunks)
    )
    return NewVersion(one, made, replaced)


async def texts(store: MemoryStore) -> list[str]:
    """Give the texts of all messages."""
    return [record.message.text for record in await store.list_from(ANA, (), None, 100)]


async def test_only_who_reserved_last_can_fill(store: MemoryStore) -> None:
    assert await store.reserve([reservation("1-0")], "a", NOW) == [None]
    assert await store.reserve([reservation("1-0")], "b", NOW) == [None]

    assert await store.fill([version("1-0", "late")], "a") == [False]
    assert await texts(store) == []
    assert await store.fill([version("1-0", "told")], "b") == [True]
    assert await store.fill([version("1-0", "told")], "b") == [True]
    assert await texts(store) == ["told"]


async def test_what_was_deleted_can_not_be_filled_and_a_placeholder_is_seen_by_nothing(store: MemoryStore) -> None:
    await store.reserve([reservation("1-0", 2)], "a", NOW)
    firsts, _ = await store.fetch([FirstChunks(ANA, ("m",))], [])
    assert (firsts, await texts(store), await store.speakers(ANA)) == ([{}], [], [])
    await store.delete_messages(ANA, {"m": Position(0, "live", "2-0")})

    assert await store.fill([version("1-0", "back again", 2)], "a") == [False]
    assert await texts(store) == []


async def test_a_new_version_replaces_every_chunk_of_the_old_one(store: MemoryStore) -> None:
    await store.reserve([reservation("1-0", 3)], "a", NOW)
    await store.fill([version("1-0", "long", 3)], "a")
    (stored,) = await store.reserve([reservation("2-0")], "b", NOW)
    assert stored is not None
    assert (stored.text, stored.chunks, stored.entry) == ("long", 3, Position(0, "live", "1-0"))

    assert await store.fill([version("2-0", "short", replaced=stored.chunks)], "b") == [True]
    (stored,) = await store.reserve([reservation("2-0", 3)], "c", NOW)
    assert stored is not None
    assert (stored.text, stored.chunks, stored.is_complete) == ("short", 3, False)
    await store.release([reservation("2-0", 3)], NOW)
    (stored,) = await store.reserve([reservation("2-0")], "d", NOW)
    assert stored is not None
    assert (stored.text, stored.chunks, stored.is_complete) == ("short", 1, True)


async def test_a_deletion_spares_what_came_later_in_the_same_millisecond(store: MemoryStore) -> None:
    await store.reserve([reservation("5-4")], "a", NOW)
    await store.fill([version("5-4", "after")], "a")
    for delete in (
        store.delete_messages(ANA, {"m": Position(0, "live", "5-3")}),
        store.delete_all(ANA, Position(0, "live", "5-3")),
    ):
        await delete
        assert await texts(store) == ["after"]

    await store.delete_all(ANA, Position(0, "live", "5-4"))
    assert await texts(store) == []


async def test_what_a_deletion_will_remove_is_known_before_though_it_has_expired(store: MemoryStore) -> None:
    until = {"m": Position(0, "live", "5-4"), "never said": Position(0, "live", "9-0")}
    await store.reserve([reservation("5-4", 2)], "a", NOW)
    assert await store.find_messages(ANA, until) == set()
    await store.fill([version("5-4", "over", 2, expires_at=NOW)], "a")

    assert await texts(store) == []
    assert await store.find_messages(ANA, until) == {"m"}
    assert await store.find_messages(ANA, {"m": Position(0, "live", "5-3")}) == set()
    assert await store.find_messages(owner_of("acme", "bob"), until) == set()
    assert await store.find_messages(ANA, {}) == set()


async def test_abandoned_reservations_are_removed_and_messages_stay(store: MemoryStore) -> None:
    await store.reserve([reservation("1-0")], "a", NOW)
    await store.release_abandoned(NOW + timedelta(seconds=1))
    assert await store.fill([version("1-0", "too late")], "a") == [False]
    await store.reserve([reservation("1-0")], "b", NOW)
    await store.fill([version("1-0", "kept")], "b")
    await store.reserve([reservation("2-0")], "c", NOW)
    await store.release_abandoned(NOW + timedelta(days=2))

    assert await texts(store) == ["kept"]
