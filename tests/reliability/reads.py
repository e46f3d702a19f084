"""Reads what there is: from Qdrant, from the state endpoint, and with searches."""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import httpx
from reliability.history import Found, History, Searched
from reliability.operations import Message

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Reader:
    """Clients of the services, and of Qdrant itself."""

    ingest: httpx.AsyncClient
    retriever: httpx.AsyncClient
    qdrant: httpx.AsyncClient
    collection: str
    consistency: str | None = None

    async def state(self, user: str, message_id: str) -> tuple[str, str | None] | None:
        """Return what the state endpoint says of a message, with the reason; None if it says nothing."""
        try:
            answer = await self.ingest.get("/v1/messages/state", params={"user_id": user, "message_id": message_id})
        except httpx.TransportError:
            return None
        if answer.status_code == HTTPStatus.NOT_FOUND:
            return "unknown", None
        if answer.is_success:
            body = answer.json()
            return body["state"], body["reason"]
        return None if answer.is_server_error else (f"HTTP {answer.status_code}", None)

    async def receipt(self, erasure_id: str) -> tuple[str, str] | None:
        """Return what a receipt says: scope and state; None if there is no answer."""
        try:
            answer = await self.ingest.get(f"/v1/erasures/{erasure_id}")
        except httpx.TransportError:
            return None
        if answer.is_success:
            return answer.json()["scope"], answer.json()["state"]
        return None if answer.is_server_error else ("", f"HTTP {answer.status_code}")

    async def is_there(self, user: str, message_id: str) -> bool | None:
        """Return whether all chunks of a message are in Qdrant; None if there is no answer."""
        found = await self.points([user], message_id)
        if found is None:
            return None
        return bool(found) and {point.chunk for point in found} == set(range(found[0].chunks))

    async def points(self, users: Sequence[str], message_id: str | None = None) -> list[Found] | None:
        """Return the points of some users, of one message or of all; None if there is no answer."""
        owner = {"key": "owner", "match": {"any": [f"local/{user}" for user in users]}}
        must: list[dict[str, Any]] = [owner]
        if message_id is not None:
            must.append({"key": "message_id", "match": {"value": message_id}})
        try:
            return await self._scroll({"must": must})
        except httpx.HTTPError:
            return None

    async def _scroll(self, condition: dict[str, Any]) -> list[Found]:
        found: list[Found] = []
        params = {} if self.consistency is None else {"consistency": self.consistency}
        offset: Any = None
        while True:
            body = {"limit": _PAGE, "with_payload": True, "filter": condition, **({"offset": offset} if offset else {})}
            answer = await self.qdrant.post(f"/collections/{self.collection}/points/scroll", json=body, params=params)
            result = answer.raise_for_status().json()["result"]
            # A placeholder, which a write that came late may leave behind, is no message.
            found += [_found(point["payload"]) for point in result["points"] if "message_id" in point["payload"]]
            offset = result["next_page_offset"]
            if offset is None:
                return found


def _found(payload: dict[str, Any]) -> Found:
    user = payload["owner"].partition("/")[2]
    text = payload.get("full_text") or payload["text"]
    return Found(user, payload["message_id"], payload["chunk"], payload["chunks"], text)


async def search(
    retriever: httpx.AsyncClient, history: History, message: Message, *, mode: str = "keyword", wanted: bool = False
) -> bool:
    """Search for the word that only this message of its user has, record the answer, and return if there was one."""
    hits = await hits_of(retriever, message, mode=mode)
    if hits is not None:
        history.add(Searched(message.user, hits, message.message_id if wanted else None))
    return hits is not None


async def hits_of(retriever: httpx.AsyncClient, message: Message, *, mode: str) -> list[tuple[str, str]] | None:
    """Return id and text of each message that is found by that word; None if there is no answer."""
    body = {"user_id": message.user, "query": message.word, "limit": 20, "mode": mode}
    try:
        answer = await retriever.post("/v1/search", json=body)
    except httpx.TransportError:
        return None
    return [(hit["message_id"], hit["text"]) for hit in answer.json()["hits"]] if answer.is_success else None
