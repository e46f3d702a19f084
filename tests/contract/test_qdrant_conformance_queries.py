"""Queries: the same question gets the same answer from every backend."""

import math
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from contract.qdrant_backends import Backend, fresh_name
from contract.qdrant_sample import COMMON, EAST, cosine, dense, fill, payload, scores, vectors
from pydantic import BaseModel
from qdrant_client import AsyncQdrantClient, models

ODD = models.Filter(must=[models.FieldCondition(key="owner", match=models.MatchValue(value="ann"))])


class Asked:
    """The sample in one backend."""

    def __init__(self, backend: Backend, name: str) -> None:
        self.backend = backend
        self.client: AsyncQdrantClient = backend.client
        self.name = name

    async def points(self, **query: Any) -> list[models.ScoredPoint]:  # noqa: ANN401 - what the client takes
        """Return the answer to a query."""
        return (await self.client.query_points(self.name, **query)).points

    async def ids(self, **query: Any) -> list[models.ExtendedPointId]:  # noqa: ANN401 - what the client takes
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


async def test_nearest_to_a_point_leaves_that_point_out(asked: Asked) -> None:
    assert set(await asked.ids(query=4, using="dense", limit=2)) == {3, 5}


async def test_limit_offset_and_threshold_cut_the_answer(asked: Asked) -> None:
    assert await asked.ids(query=EAST, using="dense", limit=2, offset=2) == [3, 4]
    assert await asked.ids(query=EAST, using="dense", score_threshold=cosine(3) - 1e-4) == [1, 2, 3]


async def test_ten_points_are_the_default_limit(asked: Asked) -> None:
    assert len(await asked.ids(query=EAST, using="dense")) == 8


async def test_a_filter_narrows_a_query(asked: Asked) -> None:
    assert await asked.ids(query=EAST, using="dense", query_filter=ODD, limit=3) == [1, 3, 5]


@pytest.mark.parametrize(
    ("selector", "keys"),
    [
        (True, set(payload(1))),
        (["owner", "nested.deep"], {"owner", "nested"}),
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
    (point,) = await asked.points(query=EAST, using="dense", limit=1, with_vectors=["dense"])
    assert vectors(point.vector) == {"dense": pytest.approx(dense(1), abs=1e-5)}


async def test_reciprocal_rank_fusion_adds_up_the_ranks(asked: Asked) -> None:
    """Dense: 1 2 3; sparse: 8 7 3. Qdrant counts ranks from 0, and its k is 2."""
    points = await asked.points(
        prefetch=[dense_prefetch(3), sparse_prefetch(3, filter=ODD), sparse_prefetch(2)],
        query=models.FusionQuery(fusion=models.Fusion.RRF),
        limit=3,
    )
    assert scores(points)[7] == pytest.approx(1 / 2 + 1 / 3, abs=1e-5)
    assert {points[1].id, points[2].id} <= {1, 8, 3, 5}
    assert points[0].id == 7


async def test_fusion_can_be_given_its_k(asked: Asked) -> None:
    points = await asked.points(
        prefetch=[dense_prefetch(3), dense_prefetch(2)], query=models.RrfQuery(rrf=models.Rrf(k=60)), limit=3
    )
    assert [point.id for point in points] == [1, 2, 3]
    assert [point.score for point in points] == pytest.approx([2 / 60, 2 / 61, 1 / 62], abs=1e-6)


async def test_fusion_can_weigh_its_sources(asked: Asked) -> None:
    rrf = models.RrfQuery(rrf=models.Rrf(k=60, weights=[3.0, 1.0]))
    points = await asked.points(prefetch=[dense_prefetch(2), sparse_prefetch(2)], query=rrf, limit=4)
    assert [point.id for point in points] == [1, 2, 8, 7]


async def test_distribution_based_fusion_adds_normalised_scores(asked: Asked) -> None:
    points = await asked.points(
        prefetch=[dense_prefetch(8), dense_prefetch(8)], query=models.FusionQuery(fusion=models.Fusion.DBSF), limit=8
    )
    cosines = [cosine(number) for number in range(1, 9)]
    mean = sum(cosines) / 8
    deviation = math.sqrt(sum((each - mean) ** 2 for each in cosines) / 7)
    expected = [2 * ((each - mean + 3 * deviation) / (6 * deviation)) for each in cosines]
    assert [point.id for point in points] == list(range(1, 9))
    assert [point.score for point in points] == pytest.approx(expected, abs=1e-3)


async def test_each_prefetch_has_its_own_filter_limit_and_threshold(asked: Asked) -> None:
    prefetch = [
        dense_prefetch(2, filter=ODD),
        sparse_prefetch(5, score_threshold=0.75),
    ]
    assert set(await asked.ids(prefetch=prefetch, query=models.FusionQuery(fusion=models.Fusion.RRF))) == {1, 3, 8}


async def test_a_prefetch_can_be_rescored_by_another_vector(asked: Asked) -> None:
    assert await asked.ids(prefetch=dense_prefetch(3), query=COMMON, using="terms") == [3, 2, 1]


async def test_prefetches_nest(asked: Asked) -> None:
    inner = models.Prefetch(prefetch=[dense_prefetch(6)], query=COMMON, using="terms", limit=4)
    assert await asked.ids(prefetch=inner, query=EAST, using="dense", limit=2) == [3, 4]


async def test_a_formula_rescores_by_payload_and_conditions(asked: Asked) -> None:
    formula = models.SumExpression(
        sum=[
            "$score",
            models.MultExpression(mult=[0.1, "number"]),
            models.FieldCondition(key="owner", match=models.MatchValue(value="bob")),
        ]
    )
    points = await asked.points(prefetch=dense_prefetch(4), query=models.FormulaQuery(formula=formula))
    expected = {number: cosine(number) + 0.1 * number + (number % 2 == 0) for number in (1, 2, 3, 4)}
    assert scores(points) == pytest.approx(expected, abs=1e-4)
    assert [point.id for point in points] == sorted(expected, key=lambda number: -expected[number])


async def test_a_formula_knows_arithmetic_and_defaults(asked: Asked) -> None:
    formula = models.DivExpression(
        div=models.DivParams(
            left=models.PowExpression(
                pow=models.PowParams(base=models.AbsExpression(abs=models.NegExpression(neg="number")), exponent=2.0)
            ),
            right=models.SumExpression(sum=["absent", models.SqrtExpression(sqrt=models.ExpExpression(exp=0.0))]),
        )
    )
    query = models.FormulaQuery(formula=formula, defaults={"absent": 3.0})
    points = await asked.points(prefetch=dense_prefetch(3), query=query)
    assert [point.id for point in points] == [3, 2, 1]
    assert scores(points) == pytest.approx({3: 2.25, 2: 1.0, 1: 0.25}, abs=1e-5)


@pytest.mark.parametrize(
    ("decay", "expected"),
    [
        (models.ExpDecayExpression, {4: 1.0, 3: 0.5, 2: 0.25}),
        (models.LinDecayExpression, {4: 1.0, 3: 0.5, 2: 0.0}),
        (models.GaussDecayExpression, {4: 1.0, 3: 0.5, 2: 0.0625}),
    ],
)
async def test_decays_fall_to_the_midpoint_at_their_scale(
    asked: Asked, decay: type[BaseModel], expected: dict[int, float]
) -> None:
    """One day is the scale, a half the midpoint; points are a day apart."""
    params = models.DecayParamsExpression(
        x=models.DatetimeKeyExpression(datetime_key="at"),
        target=models.DatetimeExpression(datetime="2024-01-04T12:00:00Z"),
        scale=86_400.0,
        midpoint=0.5,
    )
    (alias,) = decay.model_fields
    only = models.Filter(must=[models.HasIdCondition(has_id=[2, 3, 4])])
    points = await asked.points(
        prefetch=dense_prefetch(8, filter=only),
        query=models.FormulaQuery.model_validate({"formula": decay(**{alias: params})}),
    )
    assert scores(points) == pytest.approx(expected, abs=1e-4)


async def test_a_query_can_order_by_payload(asked: Asked) -> None:
    order = models.OrderBy(key="number", direction=models.Direction.DESC)
    assert await asked.ids(query=models.OrderByQuery(order_by=order), limit=3) == [8, 7, 6]


async def test_a_query_can_sample(asked: Asked) -> None:
    found = await asked.ids(query=models.SampleQuery(sample=models.Sample.RANDOM), limit=5)
    assert len(set(found)) == 5


async def test_a_query_without_a_query_lists_points(asked: Asked) -> None:
    assert await asked.ids(limit=3) == [1, 2, 3]


async def test_mmr_prefers_what_is_unlike_the_chosen(asked: Asked) -> None:
    def near(diversity: float) -> models.NearestQuery:
        return models.NearestQuery(nearest=EAST, mmr=models.Mmr(diversity=diversity, candidates_limit=8))

    assert await asked.ids(query=near(0.0), using="dense", limit=3) == [1, 2, 3]
    diverse = await asked.points(query=near(0.9), using="dense", limit=2)
    assert [point.id for point in diverse] == [1, 8]
    assert diverse[0].vector is None


@pytest.mark.parametrize(
    "strategy",
    [models.RecommendStrategy.AVERAGE_VECTOR, models.RecommendStrategy.BEST_SCORE],
)
async def test_recommendations_lean_to_the_positive(asked: Asked, strategy: models.RecommendStrategy) -> None:
    query = models.RecommendQuery(recommend=models.RecommendInput(positive=[2], negative=[8], strategy=strategy))
    assert set(await asked.ids(query=query, using="dense", limit=2)) == {1, 3}


async def test_discovery_keeps_to_the_side_of_its_context(asked: Asked) -> None:
    pair = models.ContextPair(positive=2, negative=7)
    query = models.DiscoverQuery(discover=models.DiscoverInput(target=5, context=[pair]))
    assert (await asked.ids(query=query, using="dense", limit=1)) == [4]


async def test_a_batch_answers_in_the_order_of_its_queries(asked: Asked) -> None:
    answers = await asked.client.query_batch_points(
        asked.name,
        [
            models.QueryRequest(query=EAST, using="dense", limit=2),
            models.QueryRequest(query=COMMON, using="terms", limit=1, filter=ODD, with_payload=True),
            models.QueryRequest(
                prefetch=[dense_prefetch(2), sparse_prefetch(1)],
                query=models.RrfQuery(rrf=models.Rrf(weights=[3.0, 1.0])),
            ),
        ],
    )
    assert [[point.id for point in answer.points] for answer in answers] == [[1, 2], [7], [1, 2, 8]]
    assert answers[1].points[0].payload == payload(7)


async def test_groups_hold_the_best_of_each_value(asked: Asked) -> None:
    answer = await asked.client.query_points_groups(
        asked.name, group_by="owner", query=EAST, using="dense", limit=2, group_size=2, with_payload=["number"]
    )
    assert [(group.id, [hit.id for hit in group.hits]) for group in answer.groups] == [("ann", [1, 3]), ("bob", [2, 4])]
    assert answer.groups[0].hits[0].payload == {"number": 1}


async def test_groups_of_a_list_hold_a_point_under_each_value(asked: Asked) -> None:
    answer = await asked.client.query_points_groups(
        asked.name, group_by="tags", query=EAST, using="dense", limit=3, group_size=1, query_filter=ODD
    )
    assert {group.id: group.hits[0].id for group in answer.groups} == {"all": 1, "odd": 1}


async def test_facets_count_values(asked: Asked) -> None:
    answer = await asked.client.facet(asked.name, "owner")
    assert {hit.value: hit.count for hit in answer.hits} == {"ann": 4, "bob": 4}
    some = models.Filter(must=[models.FieldCondition(key="number", range=models.Range(gt=5))])
    answer = await asked.client.facet(asked.name, "owner", facet_filter=some, exact=True)
    assert [(hit.value, hit.count) for hit in answer.hits] == [("bob", 2), ("ann", 1)]


async def test_ids_can_be_looked_up_in_another_collection(asked: Asked) -> None:
    other = fresh_name()
    await asked.client.create_collection(
        other, vectors_config={"place": models.VectorParams(size=2, distance=models.Distance.COSINE)}
    )
    await asked.client.upsert(
        other, [models.PointStruct(id=7, vector={"place": dense(4)}, payload={"name": "seven"})], wait=True
    )
    place = models.LookupLocation(collection=other, vector="place")
    assert await asked.ids(query=7, using="dense", lookup_from=place, limit=1) == [4]
    grouped = await asked.client.query_points_groups(
        asked.name, group_by="number", query=dense(7), using="dense", limit=1, group_size=1, with_lookup=other
    )
    (group,) = grouped.groups
    assert group.lookup is not None
    assert (group.id, group.lookup.id, group.lookup.payload) == (7, 7, {"name": "seven"})
    await asked.client.delete_collection(other)
