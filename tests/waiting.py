"""Waiting for something to become true, with a deadline, in place of sleeping."""

import asyncio
from collections.abc import Awaitable, Callable

_POLL = 0.02


async def until(predicate: Callable[[], object | Awaitable[object]], description: str, *, within: float = 20.0) -> None:
    """Come back when the predicate is true; fail with the description when it takes longer."""
    loop = asyncio.get_running_loop()
    end = loop.time() + within
    while True:
        value = predicate()
        if isinstance(value, Awaitable):
            value = await value
        if value:
            return
        assert loop.time() < end, f"not within {within:g} s: {description}"
        await asyncio.sleep(_POLL)
