"""The payloads that the local stack's Qdrant keeps between queries."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from unit.manual_clock import START

from memstream.local.qdrant import operations, updates
from memstream.local.qdrant.operations import Call
from memstream.local.qdrant.storage import Storage

BY_VECTOR = {"query": [1, 0], "using": "dense"}
LISTED: dict[str, Any] = {}
ORDERED = {"query": {"order_by": "n"}}


class Server:
    """The operations of a storage, without HTTP."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    def call(self, operation: Callable[..., Any], body: object, **options: object) -> Any:  # noqa: ANN401 - JSON
        """Return an operation's result, as a client reads it."""
        call = Call(self.storage, {"collection": "c"}, {}, orjson.dumps(body), START)
        return orjson.loads(orjson.dumps(operation(call, **options)))

    def store(self, **payload: object) -> None:
        """Store the one point."""
        point = {"id": 1, "vector": {"dense": [1, 0]}, "payload": payload}
        self.call(operations.write, {"points": [point]}, read=updates.read_upsert)

    def payloads(self, query: object) -> list[object]:
        """Return the payloads of what a query finds."""
        ((points),) = self.call(operations.query_batch, {"searches": [{**query, "with_payload": True}]})  # type: ignore[dict-item]
        return [point.get("payload") for point in points["points"]]

    @property
    def kept(self) -> int:
        """How many payloads are kept."""
        return len(self.storage.get("c").payloads._known)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """Open a collection with one vector and one index."""
    storage = Storage(tmp_path)
    server = Server(storage)
    server.call(operations.create_collection, {"vectors": {"dense": {"size": 2, "distance": "Cosine"}}})
    server.call(operations.create_index, {"field_name": "n", "field_schema": "integer"})
    yield server
    storage.close()


@pytest.mark.parametrize("query", [BY_VECTOR, LISTED, ORDERED])
def test_each_query_shows_the_payload_as_it_is_now(server: Server, query: dict[str, Any]) -> None:
    server.store(n=1)
    assert server.payloads(query) == [{"n": 1}]

    server.store(n=2)
    assert server.payloads(query) == server.payloads(query) == [{"n": 2}]

    server.call(operations.write, {"points": [1], "payload": {"m": 3}}, read=updates.read_payload_update)
    assert server.payloads(query) == [{"n": 2, "m": 3}]


def test_a_payload_is_kept_until_something_is_deleted(server: Server) -> None:
    server.store(n=1)
    server.payloads(BY_VECTOR)
    assert server.kept == 1

    server.call(operations.delete, {"points": [1]})

    assert server.kept == 0
    assert server.payloads(BY_VECTOR) == []


def test_a_long_payload_is_shown_and_not_kept(server: Server) -> None:
    server.store(n=1, text="long" * 2000)

    assert server.payloads(BY_VECTOR) == [{"n": 1, "text": "long" * 2000}]
    assert server.kept == 0
