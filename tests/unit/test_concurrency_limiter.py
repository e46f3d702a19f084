"""How many questions are worked on at once."""

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from waiting import until

from memstream.retriever.admission import ConcurrencyLimiter
from memstream.runtime.errors import Unavailable


@given(st.integers(1, 5), st.integers(0, 5), st.integers(0, 20))
async def test_some_pass_some_wait_and_the_others_are_turned_away(at_once: int, waiting: int, coming: int) -> None:
    limiter, seen = ConcurrencyLimiter(at_once, waiting), Counter[str]()
    inside = 0
    go = asyncio.Event()

    async def come() -> None:
        nonlocal inside
        try:
            async with limiter.admitted():
                inside += 1
                assert inside <= at_once
                await go.wait()
                inside -= 1
                seen["passed"] += 1
        except Unavailable:
            seen["turned away"] += 1

    coming_in = [asyncio.create_task(come()) for _ in range(coming)]
    await until(lambda: inside == min(at_once, coming), "the permits are taken")
    go.set()
    await asyncio.gather(*coming_in)

    assert seen["passed"] == min(coming, at_once + waiting)
    assert seen["turned away"] == max(0, coming - at_once - waiting)


async def test_who_gives_up_waiting_leaves_room_in_the_queue() -> None:
    limiter = ConcurrencyLimiter(1, 1)
    async with limiter.admitted():

        async def wait() -> None:
            async with limiter.admitted():
                pass

        waiting = asyncio.create_task(wait())
        await asyncio.sleep(0)
        with pytest.raises(Unavailable):
            await wait()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        again = asyncio.create_task(wait())
        await asyncio.sleep(0)
    await again
