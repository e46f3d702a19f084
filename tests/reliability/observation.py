"""What is there when nothing waits any more: in Qdrant, in the dead letters, and by the state endpoint."""

import asyncio
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import httpx
from reliability.history import Buried, Found, History, Sent, Told

from memstream.contracts import keys
from memstream.runtime.streams import Redis

_PAGE = 1000
_ASKERS = 8


async def observe(history: History, qdrant_url: str, ingest: httpx.AsyncClient, redis: Redis) -> None:
    """Record the end of a run."""
    await _points(history, qdrant_url)
    sent = sorted({(message.user, message.message_id) for message in history.of(Sent)})
    await asyncio.gather(*(_states(history, ingest, sent[start::_ASKERS]) for start in range(_ASKERS)))
    letters: Any = await redis.xrange(keys.dead_letters(0))
    for _, fields in letters:
        history.add(Buried(fields[b"entry_id"].decode(), fields[b"reason"].decode()))


async def _points(history: History, qdrant_url: str) -> None:
    offset: Any = None
    async with httpx.AsyncClient(base_url=qdrant_url, timeout=20) as qdrant:
        while True:
            body = {"limit": _PAGE, "with_payload": True} | ({"offset": offset} if offset else {})
            answer = await qdrant.post("/collections/memstream/points/scroll", json=body)
            result = answer.raise_for_status().json()["result"]
            for point in result["points"]:
                payload = point["payload"]
                user = payload["owner"].partition("/")[2]
                text = payload.get("full_text") or payload["text"]
                history.add(Found(user, payload["message_id"], payload["chunk"], payload["chunks"], text))
            offset = result["next_page_offset"]
            if offset is None:
                return


async def _states(history: History, ingest: httpx.AsyncClient, names: Sequence[tuple[str, str]]) -> None:
    for user, message_id in names:
        answer = await ingest.get("/v1/messages/state", params={"user_id": user, "message_id": message_id})
        if answer.status_code == HTTPStatus.NOT_FOUND:
            state = "unknown"
        else:
            state = answer.json()["state"] if answer.is_success else f"HTTP {answer.status_code}"
        history.add(Told(user, message_id, state))
