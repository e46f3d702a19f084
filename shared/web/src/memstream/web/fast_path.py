"""Fast-path dispatch: the endpoints of hot routes are called without FastAPI's routing and error handling.

docs/decisions/0021 has what that saves, and for which routes it is worth it.
"""

from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from memstream.web import problems

Endpoint = Callable[[Request], Awaitable[Response]]
Endpoints = Mapping[tuple[str, str], Endpoint]
"""Endpoints by method and path. Each is also a route of the application, which documents it."""


class FastPath:
    """ASGI middleware that answers requests of exactly these methods and paths, and passes on all others.

    The application puts it inside all middleware that is added: tracing sees these requests too.
    """

    def __init__(self, app: ASGIApp, endpoints: Endpoints) -> None:
        self._app = app
        self._endpoints = endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        endpoint = self._endpoints.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if endpoint is None:
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            response = await endpoint(request)
        except Exception as error:
            respond = problems.handler(error)
            await (await respond(request, error))(scope, receive, send)
            if respond is problems.unexpected:
                # The server logs it, with its traceback.
                raise
            return
        await response(scope, receive, send)
