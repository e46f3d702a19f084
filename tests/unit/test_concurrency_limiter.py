"""How many questions are worked on at once."""

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from waiting import PATIENCE, until

from memstream.retriever.admission import ConcurrencyLimiter
from memstream.runtime.errors import Busy, Overloaded, Unavailable


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


async def test_a_tenant_with_a_thousand_requests_delays_another_by_one() -> None:
    limiter, order = ConcurrencyLimiter(4, 2000), list[str]()
    turns = asyncio.Semaphore(0)

    async def come(tenant: str) -> None:
        async with limiter.admitted(tenant=tenant):
            await turns.acquire()
            order.append(tenant)

    coming = [asyncio.create_task(come("hostile")) for _ in range(1000)]
    await asyncio.sleep(0)
    coming.append(asyncio.create_task(come("honest")))
    await until(lambda: limiter.waiting == 997, "all but four wait")
    for _ in coming:
        turns.release()
    await asyncio.gather(*coming)

    assert order.index("honest") <= 4 + 1


async def test_who_has_many_waiting_is_turned_away_while_others_still_get_a_place() -> None:
    limiter, outcomes = ConcurrencyLimiter(1, 10), dict[str, list[str]]()
    go = asyncio.Event()

    async def come(tenant: str) -> None:
        try:
            async with limiter.admitted(tenant=tenant):
                await go.wait()
                outcomes.setdefault(tenant, []).append("passed")
        except (Overloaded, Busy) as error:
            outcomes.setdefault(tenant, []).append(type(error).__name__)

    coming = [asyncio.create_task(come("hostile")) for _ in range(100)]
    await asyncio.sleep(0)
    coming += [asyncio.create_task(come("honest")) for _ in range(5)]
    await until(lambda: len(outcomes["hostile"]) == 94, "those that are too many are refused")
    assert limiter.waiting == 10
    go.set()
    await asyncio.gather(*coming)

    assert outcomes["honest"] == ["passed"] * 5
    assert Counter(outcomes["hostile"]) == {"Busy": 89, "Overloaded": 5, "passed": 6}


async def test_who_takes_the_place_of_one_that_just_gave_up_gets_in_and_gives_its_permit_back() -> None:
    limiter = ConcurrencyLimiter(1, 2)

    async def come(tenant: str) -> None:
        async with limiter.admitted(tenant=tenant):
            pass

    async with limiter.admitted():
        hostile = [asyncio.create_task(come("hostile")) for _ in range(2)]
        await until(lambda: limiter.waiting == 2, "two wait")
        # Who comes runs before the one that gives up can leave its place.
        honest = asyncio.create_task(come("honest"))
        hostile[1].cancel()
        await asyncio.wait([hostile[1]])
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(honest, hostile[0])
        await come("the next one")


async def test_a_tenant_has_a_limit_of_its_own_and_is_told_which() -> None:
    limiter = ConcurrencyLimiter(1, 10, waiting_each=2)
    async with limiter.admitted(tenant="one"):

        async def wait() -> None:
            async with limiter.admitted(tenant="one"):
                pass

        waiting = [asyncio.create_task(wait()) for _ in range(2)]
        await until(lambda: limiter.waiting == 2, "two wait")
        with pytest.raises(Overloaded, match="searches_waiting_per_tenant"):
            await wait()
    await asyncio.gather(*waiting)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 9), st.booleans()), max_size=30), st.integers(1, 6))
async def test_no_more_permits_are_out_than_there_are_and_all_come_back(
    asked: list[tuple[str, int, bool]], permits: int
) -> None:
    limiter = ConcurrencyLimiter(permits, 100)
    out = 0

    async def come(tenant: str, wanted: int) -> None:
        nonlocal out
        async with limiter.admitted(tenant=tenant, permits=wanted):
            out += min(wanted, permits)
            try:
                assert out <= permits
                await asyncio.sleep(0)
            finally:
                out -= min(wanted, permits)

    coming = [(asyncio.create_task(come(tenant, wanted)), gives_up) for tenant, wanted, gives_up in asked]
    await asyncio.sleep(0)
    for task, gives_up in coming:
        if gives_up:
            task.cancel()
        await asyncio.sleep(0)
    results = await asyncio.gather(*(task for task, _ in coming), return_exceptions=True)

    assert all(result is None or isinstance(result, asyncio.CancelledError) for result in results)
    async with limiter.admitted(tenant="d", permits=permits):
        assert limiter.waiting == 0


async def test_who_needs_all_permits_is_not_overtaken_for_ever() -> None:
    limiter, order = ConcurrencyLimiter(2, 100), list[str]()

    async def come(tenant: str, wanted: int) -> None:
        async with limiter.admitted(tenant=tenant, permits=wanted):
            order.append(tenant)
            await asyncio.sleep(0)

    first = [asyncio.create_task(come("a", 1)) for _ in range(3)]
    await asyncio.sleep(0)
    heavy = asyncio.create_task(come("heavy", 2))
    await asyncio.sleep(0)
    others = [asyncio.create_task(come(f"t{number}", 1)) for number in range(50)]
    await asyncio.gather(*first, heavy, *others)

    assert order.index("heavy") <= 4
