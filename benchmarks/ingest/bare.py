"""The reference: an ASGI handler that does only one XADD, on the same HTTP server as ingest, configured alike.

`python -m benchmarks.ingest.bare REDIS_URL PORT`.
"""

import sys
from typing import Any

import redis.asyncio
import uvicorn


def handler(client: "redis.asyncio.Redis") -> Any:  # noqa: ANN401 - ASGI
    """Return an application that appends each request's body, and answers 202."""

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            event = await receive()
            body, more = body + event.get("body", b""), event.get("more_body", False)
        await client.xadd("bare", {"data": body})
        await send({"type": "http.response.start", "status": 202, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    return app


if __name__ == "__main__":
    redis_url, port = sys.argv[1:]
    uvicorn.run(
        handler(redis.asyncio.from_url(redis_url)),
        port=int(port),
        loop="uvloop",
        http="httptools",
        log_level="warning",
        access_log=False,
        ws="none",
        server_header=False,
        proxy_headers=False,
    )
