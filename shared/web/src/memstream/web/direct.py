"""The short way to routes that are asked so often that the framework's own way there costs more than their work."""

from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from memstream.web import problems

Endpoint = Callable[[Request], Awaitable[Response]]
Endpoints = Mapping[tuple[str, str], Endpoint]
"""Endpoints by method and path. Each is also a route of the application, which describes it, and which answers the same
wherever the short way isn't taken."""


class Direct:
    """Answers requests of exactly these methods and paths, and leaves all others to the application."""

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
            answer = problems.handler(error)
            await (await answer(request, error))(scope, receive, send)
            if answer is problems.unexpected:
                # The server logs it, with its traceback.
                raise
            return
        await response(scope, receive, send)
