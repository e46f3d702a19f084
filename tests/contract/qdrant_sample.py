"""A small collection with known answers.

Points 1 to 8. Dense vector: ten degrees per point away from [1, 0], so nearness to that falls with the id. Sparse
vector: index 100 with weight id/10, so nearness to it rises with the id.
"""

import math
from typing import Any

from contract.qdrant_backends import Backend
from qdrant_client import models

IDS = list(range(1, 9))
EAST = [1.0, 0.0]
COMMON = models.SparseVector(indices=[100], values=[1.0])


def dense(number: int) -> list[float]:
    """Return the dense vector of a point."""
    return [math.cos(math.radians(10 * number)), math.sin(math.radians(10 * number))]


def cosine(number: int) -> float:
    """Return the similarity of a point to ``EAST``."""
    return math.cos(math.radians(10 * number))


def payload(number: int) -> dict[str, Any]:
    """Return the payload of a point."""
    even = number % 2 == 0
    body: dict[str, Any] = {
        "owner": "bob" if even else "ann",
        "number": number,
        "half": number / 2,
        "at": f"2024-01-{number:02}T12:00:00Z",
        "early": number < 4,
        "tags": ["all", "even" if even else "odd"],
        "note": f"the quick fox number {number}" if even else f"a lazy dog number {number}",
        "items": [{"kind": number, "size": "big"}, {"kind": 0, "size": "small"}],
        "nested": {"deep": {"value": number * 10}},
    }
    if number == 2:
        body["maybe"] = None
    if number == 3:
        body["maybe"] = []
    if number >= 4:
        body["maybe"] = "yes"
    return body


def point(number: int) -> models.PointStruct:
    """Return a point of the sample."""
    sparse = models.SparseVector(indices=[number, 100], values=[1.0, number / 10])
    return models.PointStruct(id=number, vector={"dense": dense(number), "terms": sparse}, payload=payload(number))


async def create(backend: Backend, name: str) -> None:
    """Make an empty collection of the sample's shape."""
    await backend.client.create_collection(
        name,
        # In a cluster, the limit of a prefetch holds for each shard.
        shard_number=1,
        vectors_config={"dense": models.VectorParams(size=2, distance=models.Distance.COSINE)},
        sparse_vectors_config={"terms": models.SparseVectorParams()},
    )


async def fill(backend: Backend, name: str) -> None:
    """Make the collection with its points and indexes."""
    await create(backend, name)
    kinds = models.PayloadSchemaType
    # The other fields are filtered by without an index, as metadata is.
    for field, kind in (("owner", kinds.KEYWORD), ("number", kinds.INTEGER), ("at", kinds.DATETIME)):
        await backend.index(name, field, kind)
    await backend.client.upsert(name, [point(number) for number in IDS], wait=True)


def vectors(shown: models.VectorStructOutput | None) -> dict[str, Any]:
    """Return the vectors that an answer shows by name."""
    assert isinstance(shown, dict)
    return dict(shown)


def scores(points: list[models.ScoredPoint]) -> dict[models.ExtendedPointId, float]:
    """Return the scores by id, in the order of the answer."""
    return {each.id: each.score for each in points}
