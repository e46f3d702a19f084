"""Cancelling the work for a client that has disconnected."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from starlette.requests import ClientDisconnect, Request

_UNWATCHED_SECONDS = 0.02
"""Watching a connection costs more than it saves when the answer is ready within a moment."""


@contextlib.asynccontextmanager
async def cancel_on_disconnect(request: Request) -> AsyncIterator[None]:
    """Cancel the body of the `with` block when the client disconnects. Read the whole request body before.

    Raises:
        ClientDisconnect: the client disconnected.

    """
    working = asyncio.current_task()
    assert working is not None  # noqa: S101 - a coroutine runs in a task
    watching: asyncio.Task[None] | None = None
    is_disconnected = False

    async def watch() -> None:
        nonlocal is_disconnected
        # After the request's body, the only other message is the disconnect.
        while (await request.receive())["type"] != "http.disconnect":
            pass
        is_disconnected = True
        working.cancel()

    def begin() -> None:
        nonlocal watching
        watching = asyncio.create_task(watch())

    beginning = asyncio.get_running_loop().call_later(_UNWATCHED_SECONDS, begin)
    try:
        yield
    except asyncio.CancelledError:
        # A cancellation from anywhere else must go on.
        if is_disconnected and working.uncancel() == 0:
            raise ClientDisconnect from None
        raise
    finally:
        beginning.cancel()
        if watching is not None:
            watching.cancel()
