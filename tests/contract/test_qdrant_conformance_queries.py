"""Queries: the same question gets the same answer from every backend."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from contract.qdrant_backends import Backend, fresh_name
from contract.qdrant_sample import COMMON, EAST, cosine, dense, fill, payload, scores, vectors
from qdrant_client import AsyncQdrantClient, models

ODD = models.Filter(must=[models.FieldCondition(key="owner", match=models.MatchValue(value="ann"))])


class Asked:
    """The sample in one backend."""

    def __init__(self, backend: Backend, name: str) -> None:
        self.backend = backend
        self.client: AsyncQdrantClient = backend.client
        self.name = name

    async def points(self, **query: Any) -> list[models.ScoredPoint]:  # noqa: ANN401 - what a query takes
        """Return the answer to a query, which goes as a batch of one."""
        (answer,) = await self.client.query_batch_points(self.name, [models.QueryRequest(**query)])
        return answer.points

    async def ids(self, **query: Any) -> list[models.ExtendedPointId]:  # noqa: ANN401 - what a query takes
        """Return the ids that answer a query, best first."""
        return [point.id for point in await self.points(**query)]


@pytest_asyncio.fixture(scope="session")
async def asked(qdrant_backend: Backend) -> AsyncIterator[Asked]:
    name = fresh_name()
    await fill(qdrant_backend, name)
    yield Asked(qdrant_backend, name)
    await qdrant_backend.client.delete_collection(name)


def dense_prefetch(limit: int = 5, **more: Any) -> models.Prefetch:  # noqa: ANN401 - what a prefetch takes
    return models.Prefetch(query=EAST, using="dense", limit=limit, **more)


def sparse_prefetch(limit: int = 5, **more: Any) -> models.Prefetch:  # noqa: ANN401 - what a prefetch takes
    return models.Prefetch(query=COMMON, using="terms", limit=limit, **more)


async def test_nearest_to_a_dense_vector_is_ordered_by_cosine(asked: Asked) -> None:
    points = await asked.points(query=EAST, using="dense", limit=3)
    assert [point.id for point in points] == [1, 2, 3]
    assert [point.score for point in points] == pytest.approx([cosine(1), cosine(2), cosine(3)], abs=1e-5)


async def test_nearest_to_a_sparse_vector_is_ordered_by_dot_product(asked: Asked) -> None:
    points = await asked.points(query=COMMON, using="terms", limit=2)
    assert [point.id for point in points] == [8, 7]
    assert scores(points) == pytest.approx({8: 0.8, 7: 0.7}, abs=1e-6)


async def test_a_limit_cuts_the_answer(asked: Asked) -> None:
    assert await asked.ids(query=EAST, using="dense", limit=2) == [1, 2]


async def test_ten_points_are_the_default_limit(asked: Asked) -> None:
    assert len(await asked.ids(query=EAST, using="dense")) == 8


async def test_a_filter_narrows_a_query(asked: Asked) -> None:
    assert await asked.ids(query=EAST, using="dense", filter=ODD, limit=3) == [1, 3, 5]


@pytest.mark.parametrize(
    ("selector", "keys"),
    [
        (True, set(payload(1))),
        (models.PayloadSelectorInclude(include=["note", "absent"]), {"note"}),
        (models.PayloadSelectorExclude(exclude=["note", "items"]), set(payload(1)) - {"note", "items"}),
    ],
)
async def test_payload_selectors_choose_what_is_shown(
    asked: Asked, selector: models.WithPayloadInterface, keys: set[str]
) -> None:
    (point,) = await asked.points(query=EAST, using="dense", limit=1, with_payload=selector)
    assert point.payload is not None
    assert set(point.payload) == keys


async def test_nothing_is_shown_that_was_not_asked_for(asked: Asked) -> None:
    (point,) = await asked.points(query=EAST, using="dense", limit=1, with_payload=False)
    assert (point.payload, point.vector) == (None, None)


async def test_vectors_are_shown_by_name(asked: Asked) -> None:
    (point,) = await asked.points(query=EAST, using="dense", limit=1, with_vector=["dense"])
    assert vectors(point.vector) == {"dense": pytest.approx(dense(1), abs=1e-5)}


async def test_each_prefetch_has_its_own_filter_and_limit(asked: Asked) -> None:
    prefetch = [dense_prefetch(2, filter=ODD), sparse_prefetch(1)]
    assert await asked.ids(prefetch=prefetch, query=EAST, using="dense") == [1, 3, 8]


async def test_a_prefetch_can_be_rescored_by_another_vector(asked: Asked) -> None:
    assert await asked.ids(prefetch=dense_prefetch(3), query=COMMON, using="terms") == [3, 2, 1]


async def test_a_query_can_order_by_payload(asked: Asked) -> None:
    order = models.OrderBy(key="number", direction=models.Direction.DESC)
    assert await asked.ids(query=models.OrderByQuery(order_by=order), limit=3) == [8, 7, 6]


async def test_a_query_without_a_query_lists_points(asked: Asked) -> None:
    assert await asked.ids(limit=3) == [1, 2, 3]


async def test_a_batch_answers_in_the_order_of_its_queries(asked: Asked) -> None:
    answers = await asked.client.query_batch_points(
        asked.name,
        [
            models.QueryRequest(query=EAST, using="dense", limit=2),
            models.QueryRequest(query=COMMON, using="terms", limit=1, filter=ODD, with_payload=True),
            models.QueryRequest(prefetch=[dense_prefetch(2), sparse_prefetch(1)], query=COMMON, using="terms"),
        ],
    )
    assert [[point.id for point in answer.points] for answer in answers] == [[1, 2], [7], [8, 2, 1]]
    assert answers[1].points[0].payload == payload(7)


async def test_facets_count_values(asked: Asked) -> None:
    answer = await asked.client.facet(asked.name, "owner")
    assert {hit.value: hit.count for hit in answer.hits} == {"ann": 4, "bob": 4}
    some = models.Filter(must=[models.FieldCondition(key="number", range=models.Range(gt=5))])
    answer = await asked.client.facet(asked.name, "owner", facet_filter=some, exact=True)
    assert [(hit.value, hit.count) for hit in answer.hits] == [("bob", 2), ("ann", 1)]
