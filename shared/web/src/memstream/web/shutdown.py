"""Graceful shutdown: requests that the server gives up on are answered with 503."""

import asyncio
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from memstream.web.problems import problem

_RETRY_AFTER = 1.0
"""Seconds until another process, or this one restarted, can take the request."""


class ShutdownResponder:
    """ASGI middleware that answers with 503 when the server cancels a request that has no response yet.

    The server does that to every request that is still open at the end of its grace period.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        is_answering = scope["type"] != "http"

        async def watched_send(message: Message) -> None:
            nonlocal is_answering
            is_answering = True
            await send(message)

        try:
            await self._app(scope, receive, watched_send)
        except asyncio.CancelledError:
            if is_answering:
                raise
            response = problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "this process is shutting down; send the request again",
                retry_after=_RETRY_AFTER,
            )
            await response(scope, receive, send)
