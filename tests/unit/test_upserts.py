"""What is written to Qdrant when chunks are stored, as a server gets it."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from qdrant_client import models

from memstream.contracts.keys import Position
from memstream.runtime.clock import SystemClock
from memstream.runtime.errors import Rejected, Unavailable
from memstream.vectors.space import EmbeddingSpace
from memstream.vectors.store import EmbeddedChunk, StoredMessage, owner_of, without_retention
from memstream.vectors.store.qdrant import QdrantStore
from memstream.vectors.store.qdrant.keyword_spaces import ANY_SCRIPT, ENGLISH, KeywordSpace

pytestmark = pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection")

SPACE = EmbeddingSpace("model", 3)
ANA = owner_of("acme", "ana")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ZERO = np.zeros(3, np.float32)
COMPLETED = {"result": {"operation_id": 1, "status": "completed"}, "status": "ok", "time": 0.1}

Vector = npt.NDArray[np.float32]
rows = arrays.arrays(np.float32, 3, elements=st.floats(width=32, allow_nan=False, allow_infinity=False))


@dataclass
class Server:
    """Answers every request alike, and keeps what it was sent."""

    answer: bytes
    url: str = ""
    heads: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    answers: list[object] = field(default_factory=list)
    """What to answer first."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Handle a connection."""
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = int(head.lower().partition("content-length: ")[2].partition("\r\n")[0])
                self.heads.append(head)
                self.bodies.append(await reader.readexactly(length))
                answer = json.dumps(self.answers.pop(0)).encode() if self.answers else self.answer
                start = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(answer)}\r\n\r\n"
                writer.write(start.encode() + answer)
        writer.close()


@contextlib.asynccontextmanager
async def storing(
    answer: object = COMPLETED, keywords: KeywordSpace = ENGLISH
) -> AsyncIterator[tuple[QdrantStore, Server]]:
    """Open a store on a server that gives this answer."""
    server = Server(json.dumps(answer).encode())
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    store = QdrantStore(
        SPACE,
        url=url,
        api_key="secret",
        collection="a/b",
        timeout=5,
        keywords=keywords,
        expiry=without_retention(SystemClock().now),
    )
    try:
        yield store, server
    finally:
        await store.aclose()
        listening.close()
        await listening.wait_closed()


def chunk(vector: Vector = ZERO, **fields: Any) -> EmbeddedChunk:  # noqa: ANN401 - fields of a message
    """Make a chunk."""
    message = StoredMessage(
        owner="", message_id="m", text="👍", occurred_at=NOON, recorded_at=NOON, speaker="Zoë", **fields
    )
    return EmbeddedChunk(ANA, message, vector, "1 March 2026, Zoë: 👍")


async def written(*chunks: EmbeddedChunk) -> dict[str, Any]:
    """Store chunks, and return the body that the server got."""
    async with storing() as (store, server):
        await store.store(chunks)
    (body,) = server.bodies
    read: dict[str, Any] = json.loads(body)
    return read


async def test_points_are_put_into_the_collection_and_waited_for() -> None:
    async with storing() as (store, server):
        await store.store([chunk()])

    (head,) = server.heads
    assert head.startswith("PUT /collections/a%2Fb/points?wait=true ")
    assert "content-type: application/json\r\n" in head.lower()
    assert "api-key: secret\r\n" in head.lower()


@given(rows)
@settings(max_examples=ceil(settings().max_examples / 5))
async def test_points_are_written_as_the_clients_own_models_are(vector: Vector) -> None:
    document = models.Document(
        text="1 March 2026, Zoë: 👍", model="qdrant/bm25", options={"avg_len": 32.0, "language": "english"}
    )
    one = models.PointStruct(
        id=str(ANA.point_id("m", 0)),
        vector={"model_3_t1": vector.tolist(), "bm25": document},
        payload={
            "owner": "acme/ana",
            "message_id": "m",
            "text": "👍",
            "occurred_at": "2026-03-01T12:00:00+00:00",
            "recorded_at": "2026-03-01T12:00:00+00:00",
            "role": "user",
            "kind": "message",
            "conversation_id": None,
            "speaker": "Zoë",
            "metadata": {"Zoë": [1.5, None]},
            "chunk": 0,
            "chunks": 1,
            "entry_ms": 0,
            "tenant": "acme",
        },
    )

    body = await written(chunk(vector, metadata={"Zoë": [1.5, None]}))

    (values,) = [point["vector"].pop("model_3_t1") for point in body["points"]]
    as_models = models.PointsList(points=[one]).model_dump(exclude_unset=True)
    as_models["points"][0]["vector"].pop("model_3_t1")
    assert body == as_models
    assert (np.array(values, np.float64).astype(np.float32) == vector).all()


@pytest.mark.parametrize(
    ("indexed", "text", "language"),
    [
        ("1 March 2026, 太郎ã: Wo sind die Ersatzschlüssel?", "1 March 2026,  太郎 a: Wo sind die Ersatz?", "english"),
        ("1 March 2026, Zoë: KX-4471 запасные ключи", "1 March 2026, Zoe: KX-4471 запасные ключи", "russian"),
        ("1 March 2026, user: مفتاح", "1 March 2026, user: مفتاح", "arabic"),
        ("1 March 2026, user: κλειδί", "1 March 2026, user: κλειδι", "greek"),
    ],
)
async def test_words_are_cut_for_any_script_and_stemmed_as_their_script_tells(
    indexed: str, text: str, language: str
) -> None:
    message = StoredMessage(owner="", message_id="m", text="x", occurred_at=NOON, recorded_at=NOON)

    async with storing(keywords=ANY_SCRIPT) as (store, server):
        await store.store([EmbeddedChunk(ANA, message, ZERO, indexed)])

    (body,) = map(json.loads, server.bodies)
    assert body["points"][0]["vector"]["bm25_v2"] == {
        "text": text,
        "model": "qdrant/bm25",
        "options": {"avg_len": 32.0, "language": language},
    }


async def test_whose_a_message_is_is_said_by_its_owner_alone() -> None:
    message = StoredMessage(owner="acme/bob", message_id="m", text="x", occurred_at=NOON, recorded_at=NOON)

    body = await written(EmbeddedChunk(ANA, message, ZERO, "x"))

    assert body["points"][0]["payload"]["owner"] == "acme/ana"


async def test_what_was_posted_anew_since_is_not_overwritten() -> None:
    body = await written(chunk(entry_ms=5), chunk(entry_ms=7))

    assert body["update_filter"] == {"must_not": [{"key": "entry_ms", "range": {"gt": 7}}]}


@pytest.mark.parametrize("beyond", [2**64, -(2**63) - 1])
async def test_what_json_cannot_carry_is_refused_as_this_points_fault(beyond: int) -> None:
    with pytest.raises(Rejected, match="not to be written as JSON"):
        await written(chunk(metadata={"n": beyond}))


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
    async with storing(answer) as (store, _):
        with pytest.raises(Unavailable):
            await store.store([chunk()])


async def test_no_messages_to_delete_delete_nothing() -> None:
    async with storing() as (store, server):
        await store.delete_messages(ANA, {})

    assert server.heads == []


def stored(*points: str, chunks: int = 1) -> dict[str, Any]:
    """Make the answer to a look at points."""
    return {"result": [{"id": point, "payload": {"chunks": chunks}} for point in points]}


def point(number: int, message_id: str = "m") -> str:
    """Give the id of a chunk of Ana's."""
    return str(ANA.point_id(message_id, number))


BATCH_COMPLETED = {"result": [{"operation_id": 1, "status": "completed"}] * 2}


async def test_a_deletion_names_its_owner_beside_its_messages_and_the_first_chunk_last() -> None:
    async with storing() as (store, server):
        server.answers = [stored(point(0), chunks=3), stored(), BATCH_COMPLETED]
        await store.delete_messages(ANA, {"m": Position(0, "bulk", "7-1"), "absent": Position(0, "bulk", "7-1")})

    looked, followed, deletion = map(json.loads, server.bodies)
    later = [{"key": "entry_ms", "range": {"gte": 7}}, {"key": "entry_seq", "range": {"gt": 1}}]
    up_to = {"must": [{"key": "entry_ms", "range": {"lte": 7}}], "must_not": [{"must": later}]}
    assert looked["ids"] == [point(0), point(0, "absent")]
    assert followed["ids"] == [point(3)]
    for operation, ids in zip(deletion["operations"], [[point(1), point(2)], [point(0)]], strict=True):
        must = operation["delete"]["filter"]["must"]
        assert must[0] == {"key": "owner", "match": {"value": "acme/ana"}}
        assert must[1:] == [{"should": [{"must": [{"has_id": ids}, up_to]}]}]


async def test_what_a_longer_text_left_behind_is_deleted_too() -> None:
    async with storing() as (store, server):
        server.answers = [stored(point(0), chunks=1), stored(point(1), chunks=3), stored(), BATCH_COMPLETED]
        await store.delete_messages(ANA, {"m": Position(0, "live", "7-0")})

    others = json.loads(server.bodies[-1])["operations"][0]["delete"]["filter"]["must"][1]["should"]
    assert others[0]["must"][0] == {"has_id": [point(1), point(2)]}


async def test_messages_that_are_not_there_cost_a_look_and_no_write() -> None:
    async with storing() as (store, server):
        server.answers = [stored()]
        await store.delete_messages(ANA, {f"m{n}": Position(0, "live", "7-0") for n in range(100)})

    (body,) = map(json.loads, server.bodies)
    assert len(body["ids"]) == 100
