"""Memstream as a contender, as an application uses it: over HTTP, with one connection that is kept open.

python -m benchmarks.peers.memstream_contender INGEST_URL RETRIEVER_URL, and the API key in MEMSTREAM_API_KEY
"""

import http.client
import json
import os
import sys
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from benchmarks.peers.orders import Message, carry_out

_BATCH = 100
_WAIT_SECONDS = 30


class Memstream:
    """A `Memory` in Memstream's services."""

    def __init__(self, ingest_url: str, retriever_url: str, api_key: str) -> None:
        """Prepare both connections."""
        self._headers = {"authorization": f"Bearer {api_key}", "content-type": "application/json"}
        self._ingest, self._retriever = (
            http.client.HTTPConnection(urlsplit(url).netloc) for url in (ingest_url, retriever_url)
        )

    def _post(self, server: http.client.HTTPConnection, path: str, body: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        content = json.dumps(body).encode()
        try:
            status, answer = self._exchange(server, path, content)
        except ConnectionError:
            # It was idle for so long that the server has closed it. Messages have ids, so they can be sent again.
            server.close()
            status, answer = self._exchange(server, path, content)
        if status != http.client.OK:
            raise OSError(f"{path} answered {status}: {answer[:300].decode(errors='replace')}")
        return json.loads(answer)

    def _exchange(self, server: http.client.HTTPConnection, path: str, content: bytes) -> tuple[int, bytes]:
        server.request("POST", path, content, self._headers)
        response = server.getresponse()
        return response.status, response.read()

    def add(self, messages: Sequence[Message]) -> None:
        """See `Memory`."""
        positions: list[str] = []
        for start in range(0, len(messages), _BATCH):
            batch = {"messages": messages[start : start + _BATCH]}
            answer = self._post(self._ingest, "/v1/messages/batch", batch)
            positions += [one["position"] for one in answer["results"]]
        waiting = positions[-1:]
        while waiting:
            search = {"user_id": messages[-1]["user_id"], "query": "?", "mode": "keyword", "wait_for": waiting}
            waiting = self._post(self._retriever, "/v1/search", {**search, "wait_timeout": _WAIT_SECONDS})["pending"]

    def search(self, user_id: str, question: str, limit: int) -> Any:  # noqa: ANN401 - as Memstream returns it
        """See `Memory`."""
        return self._post(self._retriever, "/v1/search", {"user_id": user_id, "query": question, "limit": limit})

    def ids(self, answer: Any) -> list[str]:  # noqa: ANN401
        """See `Memory`."""
        if answer["degraded"]:
            raise OSError("a question was answered by words alone")
        return [hit["message_id"] for hit in answer["hits"]]


if __name__ == "__main__":
    carry_out(Memstream(sys.argv[1], sys.argv[2], os.environ["MEMSTREAM_API_KEY"]))
