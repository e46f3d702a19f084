"""What tests say to the services, and what they make of the answers."""

import asyncio
import json
from typing import Any

import httpx

from memstream.contracts import keys
from memstream.contracts.keys import Lane
from memstream.streams.connections import Redis

PROBLEM = "urn:memstream:problem:"


async def post(ingest: httpx.AsyncClient, user: str, text: str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    """Post a message, and give the answer; it must be accepted."""
    return answered(await ingest.post("/v1/messages", json={"user_id": user, "text": text, **fields}), 202)


async def post_lines(ingest: httpx.AsyncClient, lines: bytes, **query: str) -> httpx.Response:
    """Post a batch as JSON lines."""
    return await ingest.post(
        "/v1/messages/batch", content=lines, params=query, headers={"content-type": "application/x-ndjson"}
    )


async def search(retriever: httpx.AsyncClient, user: str, query: str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    """Ask, and give the answer; it must be one. Positions are waited for as long as may be."""
    body = {"user_id": user, "query": query, "wait_timeout": 60, **fields}
    return answered(await retriever.post("/v1/search", json=body), 200)


def ids_of(answer: dict[str, Any]) -> list[str]:
    """Name the messages of an answer, in its order."""
    return [hit["message_id"] for hit in answer["hits"]]


def answered(response: httpx.Response, status: int) -> dict[str, Any]:
    """Read an answer that must have this status."""
    assert response.status_code == status, response.text
    body: dict[str, Any] = response.json()
    return body


def problem(response: httpx.Response, status: int, kind: str) -> dict[str, Any]:
    """Read an error, which must be a problem of this kind."""
    body = answered(response, status)
    assert response.headers["content-type"] == "application/problem+json"
    assert (body["type"], body["status"]) == (f"{PROBLEM}{kind}", status)
    assert body["title"]
    assert body["detail"]
    return body


def fields_of(body: dict[str, Any]) -> list[str]:
    """Name the fields a problem complains of."""
    return [error["field"] for error in body["errors"]]


def line(user: str, message_id: str, text: str = "hello", **fields: Any) -> bytes:  # noqa: ANN401 - any JSON
    """Write a message as one line, without its end."""
    return json.dumps({"user_id": user, "message_id": message_id, "text": text, **fields}).encode()


async def entries_of(redis: Redis, user: str, lane: Lane = "live") -> list[dict[str, Any]]:
    """Give the events of a user that lie in a stream, in its order."""
    entries: Any = await redis.xrange(keys.stream(0, lane))
    events = [json.loads(fields[b"data"]) for _, fields in entries]
    return [event for event in events if event["user_id"] == user]


async def say(url: httpx.URL | str, *pieces: bytes, close: bool = False) -> bytes:
    """Send bytes as they are over a connection of their own, and give everything that comes back until its end.

    With `close`, no more is said after the pieces; else the other side has to end the connection.
    """
    target = httpx.URL(url)
    reader, writer = await asyncio.open_connection(target.host, target.port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        if close:
            writer.write_eof()
        return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()
