"""What is written to Qdrant when points are stored."""

import json
from typing import Any
from uuid import UUID

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from qdrant_client import models

from memstream.runtime.errors import Rejected, Unavailable
from memstream.vectors.collection import Collection, StoredPoint
from memstream.vectors.space import EmbeddingSpace

SPACE = EmbeddingSpace("model", 3)
COMPLETED = {"result": {"operation_id": 1, "status": "completed"}, "status": "ok", "time": 0.1}

rows = arrays.arrays(np.float32, 3, elements=st.floats(width=32, allow_nan=False, allow_infinity=False))


def point(vector: "np.typing.NDArray[np.float32]", **payload: object) -> StoredPoint:
    """Make a point."""
    return StoredPoint(UUID(int=7), "acme/ana", vector, "1 March 2026, Zoë: 👍", payload)


async def sent(*points: StoredPoint, answer: object = COMPLETED, status: int = 200) -> httpx.Request:
    """Upsert points to a server that gives this answer, and give the request it got."""
    requests = []

    def respond(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(status, json=answer)

    collection = Collection(SPACE, url="https://test:6333", api_key="secret", name="a/b", timeout=5)
    collection._client.http.client._async_client._transport = httpx.MockTransport(respond)
    try:
        await collection.upsert(points)
    finally:
        await collection.aclose()
    (request,) = requests
    return request


async def test_points_are_put_into_the_collection_and_waited_for() -> None:
    request = await sent(point(np.zeros(3, np.float32)))

    assert (request.method, request.url.raw_path) == ("PUT", b"/collections/a%2Fb/points?wait=true")
    assert request.headers["content-type"] == "application/json"
    assert request.headers["api-key"] == "secret"


@given(rows)
async def test_points_are_written_as_the_clients_own_models_are(vector: "np.typing.NDArray[np.float32]") -> None:
    document = models.Document(
        text="1 March 2026, Zoë: 👍", model="qdrant/bm25", options={"avg_len": 32.0, "language": "english"}
    )
    one = models.PointStruct(
        id=str(UUID(int=7)),
        vector={"model_3_t1": vector.tolist(), "bm25": document},
        payload={"owner": "acme/ana", "chunk": 0, "metadata": {"Zoë": [1.5, None]}},
    )
    request = await sent(point(vector, chunk=0, metadata={"Zoë": [1.5, None]}))
    written: dict[str, Any] = json.loads(request.content)

    (values,) = [p["vector"].pop("model_3_t1") for p in written["points"]]
    as_models = models.PointsList(points=[one]).model_dump(exclude_unset=True)
    as_models["points"][0]["vector"].pop("model_3_t1")
    assert written == as_models
    assert (np.array(values, np.float64).astype(np.float32) == vector).all()


@pytest.mark.parametrize("beyond", [2**64, -(2**63) - 1])
async def test_what_json_cannot_carry_is_refused_as_this_points_fault(beyond: int) -> None:
    with pytest.raises(Rejected, match="not to be written as JSON"):
        await sent(point(np.zeros(3, np.float32), metadata={"n": beyond}))


@pytest.mark.parametrize(
    "answer",
    [
        {"result": {"operation_id": 1, "status": "acknowledged"}},
        {"result": {"operation_id": 1, "status": "wait_timeout"}},
        {"result": None},
        {},
        [],
    ],
)
async def test_whatever_is_not_completed_is_not_stored(answer: object) -> None:
    with pytest.raises(Unavailable):
        await sent(point(np.zeros(3, np.float32)), answer=answer)
