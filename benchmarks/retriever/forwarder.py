"""The reference: an ASGI handler that passes a batch of queries on to Qdrant and its answer back, and nothing else.

It runs on the server that the retriever runs on, set up alike, and asks Qdrant through the same HTTP client:
`python forwarder.py QDRANT_URL PORT CONNECTIONS`.
"""

import sys
from typing import Any

import httpx
import uvicorn


def handler(client: httpx.AsyncClient) -> Any:  # noqa: ANN401 - ASGI
    """Make an application that forwards each request's body."""

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            event = await receive()
            body, more = body + event.get("body", b""), event.get("more_body", False)
        answer = await client.post(
            "/collections/memstream/points/query/batch", content=body, headers={"content-type": "application/json"}
        )
        length = str(len(answer.content)).encode()
        await send(
            {"type": "http.response.start", "status": answer.status_code, "headers": [(b"content-length", length)]}
        )
        await send({"type": "http.response.body", "body": answer.content})

    return app


if __name__ == "__main__":
    qdrant_url, port, connections = sys.argv[1:]
    limits = httpx.Limits(max_connections=int(connections), max_keepalive_connections=int(connections))
    uvicorn.run(
        handler(httpx.AsyncClient(base_url=qdrant_url, limits=limits, timeout=60)),
        port=int(port),
        loop="uvloop",
        http="httptools",
        log_level="warning",
        access_log=False,
        ws="none",
        server_header=False,
        proxy_headers=False,
    )
