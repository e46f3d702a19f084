"""Stored messages get the vectors of another space without a call to the provider, on a running stack."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pytest
import pytest_asyncio
from running_stack import RunningStack
from waiting import PATIENCE

from memstream.runtime.clock import SystemClock
from memstream.vectors.space import EmbeddingSpace, Projection
from memstream.vectors.store import CandidateQuery, EmbeddedChunk, Owner, StoredMessage, owner_of, without_retention
from memstream.vectors.store.qdrant import QdrantStore

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
BASE = EmbeddingSpace("projected", 3)
HALF = EmbeddingSpace("projected", 3, projection=Projection(np.array([[1, 0], [0, 1], [0, 0]], np.float32)))
"""Leaves the last dimension out."""

Vector = npt.NDArray[np.float32]


def opened(stack: RunningStack, space: EmbeddingSpace, user: str) -> QdrantStore:
    """Open a collection of the test's own, as a service that is configured with this space would."""
    info, name = stack.info, "".join(filter(str.isalnum, user))
    return QdrantStore(
        space,
        url=info.qdrant_url,
        api_key=info.qdrant_api_key,
        collection=f"projected{name}",
        timeout=PATIENCE,
        expiry=without_retention(SystemClock().now),
    )


@pytest_asyncio.fixture
async def base(stack: RunningStack, user: str) -> AsyncIterator[QdrantStore]:
    """Open the store with its own space."""
    store = opened(stack, BASE, user)
    await store.ensure()
    yield store
    await store.aclose()


def chunk(owner: Owner, number: int, vector: list[float]) -> EmbeddedChunk:
    """Make a short message."""
    message = StoredMessage(owner=owner.name, message_id=f"m{number}", text="x", occurred_at=NOON, recorded_at=NOON)
    return EmbeddedChunk(owner, message, np.array(vector, np.float32), "x")


async def found(store: QdrantStore, owner: Owner, vector: list[float]) -> dict[str, float]:
    """Return the cosines of an owner's messages with a vector."""
    (candidates,) = await store.propose([CandidateQuery(owner, np.array(vector, np.float32), None, 10)])
    names = {point: message.message_id for point, message in candidates.messages.items()}
    return {names[point]: score for point, score in (candidates.dense or {}).items()}


async def test_all_of_an_owners_messages_are_found_in_the_new_space_and_nobody_elses(
    stack: RunningStack, base: QdrantStore, user: str
) -> None:
    ana, bob = owner_of("acme", "ana"), owner_of("acme", "bob")
    await base.store([chunk(ana, n, [1, n, 100]) for n in range(5)])
    await base.store([chunk(bob, 0, [1, 0, 0])])

    after, rounds = await base.project(ana, HALF, count=2), 1
    while after is not None:
        after, rounds = await base.project(ana, HALF, after=after, count=2), rounds + 1

    assert rounds == 3
    store = opened(stack, HALF, user)
    cosines = await found(store, ana, [0, 1])
    assert cosines == {f"m{n}": pytest.approx(n / np.hypot(1, n), abs=1e-4) for n in range(5)}
    assert await found(store, bob, [1, 0]) == {}
    await store.aclose()
    # In the old space nothing has changed.
    assert (await found(base, ana, [0, 0, 1]))["m0"] == pytest.approx(100 / np.hypot(1, 100), abs=1e-4)


async def test_projecting_again_changes_nothing(stack: RunningStack, base: QdrantStore, user: str) -> None:
    ana = owner_of("acme", "ana")
    await base.store([chunk(ana, 0, [3, 4, 0])])
    for _ in range(2):
        assert await base.project(ana, HALF) is None

    store = opened(stack, HALF, user)
    assert await found(store, ana, [1, 0]) == {"m0": pytest.approx(0.6, abs=1e-4)}
    await store.aclose()


async def test_an_owner_without_messages_has_nothing_to_project(base: QdrantStore) -> None:
    assert await base.project(owner_of("acme", "nobody"), HALF) is None


@pytest.mark.parametrize("target", [BASE, EmbeddingSpace("projected", 2, projection=HALF.projection)])
async def test_a_space_that_is_no_projection_of_the_stored_one_is_refused(
    base: QdrantStore, target: EmbeddingSpace
) -> None:
    with pytest.raises(ValueError, match="is no projection of projected_3_t1"):
        await base.project(owner_of("acme", "ana"), target)
