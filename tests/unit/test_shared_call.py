"""Calls are shared: many who ask at once must not cost a call each."""

import asyncio

import pytest

from memstream.runtime.errors import Unavailable
from memstream.runtime.shared_call import SharedCall


async def test_all_who_ask_at_once_share_a_probe_that_begins_later() -> None:
    begun, has_begun, may_end = 0, asyncio.Event(), asyncio.Event()

    async def probe() -> None:
        nonlocal begun
        begun += 1
        has_begun.set()
        await may_end.wait()

    shared = SharedCall(probe)
    first = [asyncio.create_task(shared()) for _ in range(5)]
    await has_begun.wait()
    # What it finds may be from before these were refused.
    second = [asyncio.create_task(shared()) for _ in range(5)]
    for _ in range(10):
        await asyncio.sleep(0)
    assert begun == 1
    may_end.set()

    await asyncio.gather(*first, *second)

    assert begun == 2


async def test_all_get_the_error_and_the_next_one_probes_again() -> None:
    errors = iter([Unavailable("servers", "down")])

    async def probe() -> None:
        for error in errors:
            raise error

    shared = SharedCall(probe)
    found = await asyncio.gather(*(shared() for _ in range(3)), return_exceptions=True)

    assert [type(each) for each in found] == [Unavailable] * 3
    await shared()


async def test_who_gives_up_does_not_stop_the_others() -> None:
    go = asyncio.Event()
    shared = SharedCall(go.wait)
    one, other = asyncio.create_task(shared()), asyncio.create_task(shared())
    await asyncio.sleep(0)
    one.cancel()
    go.set()

    await other

    with pytest.raises(asyncio.CancelledError):
        await one
