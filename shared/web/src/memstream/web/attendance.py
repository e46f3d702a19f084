"""Work for a caller who is still there."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from starlette.requests import ClientDisconnect, Request

_UNWATCHED = 0.02
"""Seconds. To watch a caller costs more than it saves where the answer is there in a moment."""


@contextlib.asynccontextmanager
async def attended(request: Request) -> AsyncIterator[None]:
    """Break off what is done within when the caller hangs up. The whole body of the request has to be read before.

    Raises:
        ClientDisconnect: the caller hung up.

    """
    working = asyncio.current_task()
    assert working is not None  # noqa: S101 - a coroutine runs in a task
    watching: asyncio.Task[None] | None = None
    gone = False

    async def watch() -> None:
        nonlocal gone
        # After the body nothing else comes.
        while (await request.receive())["type"] != "http.disconnect":
            pass
        gone = True
        working.cancel()

    def begin() -> None:
        nonlocal watching
        watching = asyncio.create_task(watch())

    beginning = asyncio.get_running_loop().call_later(_UNWATCHED, begin)
    try:
        yield
    except asyncio.CancelledError:
        # Whoever else cancels has to be obeyed.
        if gone and working.uncancel() == 0:
            raise ClientDisconnect from None
        raise
    finally:
        beginning.cancel()
        if watching is not None:
            watching.cancel()
