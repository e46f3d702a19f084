"""What stands between a service and Qdrant: it writes down what was asked, and can keep the answers back."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
from provider.server import serving
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


@dataclass(slots=True)
class QdrantProxy:
    """Passes requests on."""

    url: str
    bodies: list[dict[str, Any]] = field(default_factory=list)
    """Of the requests since `forget`, in their order."""
    open: asyncio.Event = field(default_factory=asyncio.Event)
    """While it isn't set, answers are kept back: requests are not even passed on."""
    marker: str = ""
    """Only requests that contain this are kept back, however long the client waits."""
    answered: int = 0
    """How many requests Qdrant has answered."""
    held: int = 0
    """How many are kept back now."""

    def forget(self) -> None:
        """Begin to write down anew."""
        self.bodies.clear()


async def _nothing_itself(_request: Request, _body: bytes) -> Response | None:
    return None


@contextlib.asynccontextmanager
async def proxied(
    qdrant: httpx.AsyncClient, itself: Callable[[Request, bytes], Awaitable[Response | None]] = _nothing_itself
) -> AsyncIterator[QdrantProxy]:
    """Stand in front of a Qdrant, and close its client at the end. What `itself` answers is not passed on."""
    proxy = QdrantProxy("")
    proxy.open.set()
    async with qdrant:

        async def pass_on(request: Request) -> Response:
            body = await request.body()
            if body:
                proxy.bodies.append(json.loads(body))
            if proxy.marker.encode() in body:
                proxy.held += 1
                await proxy.open.wait()
                proxy.held -= 1
            own = await itself(request, body)
            if own is not None:
                return own
            path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            answer = await qdrant.request(
                request.method, path, content=body, headers={"content-type": "application/json"}
            )
            proxy.answered += 1
            return Response(answer.content, answer.status_code, media_type=answer.headers.get("content-type"))

        routes = [Route("/{path:path}", pass_on, methods=["GET", "POST", "PUT", "DELETE", "PATCH"])]
        async with serving(Starlette(routes=routes)) as url:
            proxy.url = url
            yield proxy
