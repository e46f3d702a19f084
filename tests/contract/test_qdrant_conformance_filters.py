"""Filters: every condition picks the same points in every backend."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
import pytest_asyncio
from contract.qdrant_backends import Backend, fresh_name
from contract.qdrant_sample import IDS, fill
from qdrant_client import models
from qdrant_client.models import FieldCondition, Filter, MatchValue

ANN = FieldCondition(key="owner", match=MatchValue(value="ann"))
FIRST = FieldCondition(key="number", match=MatchValue(value=1))
SECOND = FieldCondition(key="number", match=MatchValue(value=2))

CASES: dict[str, tuple[models.Condition, set[int]]] = {
    "keyword": (ANN, {1, 3, 5, 7}),
    "integer": (SECOND, {2}),
    "boolean": (FieldCondition(key="early", match=MatchValue(value=True)), {1, 2, 3}),
    "in a list": (FieldCondition(key="tags", match=MatchValue(value="even")), {2, 4, 6, 8}),
    "by path": (FieldCondition(key="nested.deep.value", match=MatchValue(value=30)), {3}),
    "in objects of a list": (FieldCondition(key="items[].kind", match=MatchValue(value=5)), {5}),
    "any integer": (FieldCondition(key="number", match=models.MatchAny(any=[1, 2, 99])), {1, 2}),
    "no integer but these": (
        FieldCondition(key="number", match=models.MatchExcept(**{"except": [1, 2, 99]})),
        {3, 4, 5, 6, 7, 8},
    ),
    "no keyword but these": (
        FieldCondition(key="owner", match=models.MatchExcept(**{"except": ["ann", "eve"]})),
        {2, 4, 6, 8},
    ),
    "any keyword": (FieldCondition(key="owner", match=models.MatchAny(any=["bob", "eve"])), {2, 4, 6, 8}),
    "range": (FieldCondition(key="half", range=models.Range(gt=1.0, lte=2.5)), {3, 4, 5}),
    "time range": (
        FieldCondition(
            key="at",
            range=models.DatetimeRange(gte=datetime(2024, 1, 3, 12, tzinfo=UTC), lt=datetime(2024, 1, 5, tzinfo=UTC)),
        ),
        {3, 4},
    ),
    "has id": (models.HasIdCondition(has_id=[1, 8, 99]), {1, 8}),
    "has vector": (models.HasVectorCondition(has_vector="dense"), set(IDS)),
    "should": (Filter(should=[FIRST, SECOND]), {1, 2}),
    "must and should": (Filter(must=[ANN], should=[FIRST, SECOND]), {1}),
    "must not": (Filter(must_not=[ANN, SECOND]), {4, 6, 8}),
    "a filter in a filter": (Filter(must=[Filter(must_not=[Filter(must=[ANN])])]), {2, 4, 6, 8}),
    "nothing": (Filter(), set(IDS)),
}


@pytest_asyncio.fixture(scope="session")
async def filled(qdrant_backend: Backend) -> AsyncIterator[tuple[Backend, str]]:
    name = fresh_name()
    await fill(qdrant_backend, name)
    yield qdrant_backend, name
    await qdrant_backend.client.delete_collection(name)


@pytest.mark.parametrize("case", CASES)
async def test_a_condition_picks_its_points(filled: tuple[Backend, str], case: str) -> None:
    backend, name = filled
    condition, expected = CASES[case]
    points, _ = await backend.client.scroll(name, scroll_filter=Filter(must=[condition]), limit=100)
    assert {point.id for point in points} == expected
    count = await backend.client.count(name, count_filter=Filter(must=[condition]))
    assert count.count == len(expected)
