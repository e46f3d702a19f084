"""The reference: an ASGI handler that passes a batch of queries on to Qdrant and its answer back, and nothing else.

It runs on the server that the retriever runs on, set up alike, and asks Qdrant over the same wire:
`python -m benchmarks.retriever.forwarder QDRANT_URL PORT`.
"""

import sys
from typing import Any

import uvicorn

from memstream.vectors.wire import Wire

_QUERY = "/collections/memstream/points/query/batch"


def handler(wire: Wire) -> Any:  # noqa: ANN401 - ASGI
    """Make an application that forwards each request's body."""

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            event = await receive()
            body, more = body + event.get("body", b""), event.get("more_body", False)
        answer = await wire.post(_QUERY, body)
        length = str(len(answer.content)).encode()
        await send({"type": "http.response.start", "status": answer.status, "headers": [(b"content-length", length)]})
        await send({"type": "http.response.body", "body": answer.content})

    return app


if __name__ == "__main__":
    qdrant_url, port = sys.argv[1:]
    uvicorn.run(
        handler(Wire(qdrant_url, port=6333, headers={}, timeout=60)),
        port=int(port),
        loop="uvloop",
        http="httptools",
        log_level="warning",
        access_log=False,
        ws="none",
        server_header=False,
        proxy_headers=False,
    )
