"""Waiting for something to become true, with a deadline, in place of sleeping."""

import asyncio
from collections.abc import Awaitable, Callable

PATIENCE = 90.0
"""Seconds after which what a test waits for won't come, on however busy a machine. No measure of speed."""

_POLL = 0.02


async def until(predicate: Callable[[], object | Awaitable[object]], description: str) -> None:
    """Come back when the predicate is true; fail with the description when that takes too long."""
    loop = asyncio.get_running_loop()
    end = loop.time() + PATIENCE
    while True:
        value = predicate()
        if isinstance(value, Awaitable):
            value = await value
        if value:
            return
        assert loop.time() < end, f"not within {PATIENCE:g} s: {description}"
        await asyncio.sleep(_POLL)
