"""The last answer of a process that ends before a request is done."""

import asyncio
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from memstream.web.problems import problem

_RETRY_AFTER = 1.0
"""Seconds. By then another process is there, or this one anew."""


class Farewell:
    """Answers with 503 what the server breaks off, when its grace is over and nothing was answered yet."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        answering = scope["type"] != "http"

        async def watched(message: Message) -> None:
            nonlocal answering
            answering = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except asyncio.CancelledError:
            if answering:
                raise
            response = problem(
                HTTPStatus.SERVICE_UNAVAILABLE, "this process ends; ask another one", retry_after=_RETRY_AFTER
            )
            await response(scope, receive, send)
