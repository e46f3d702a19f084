"""Who may hold how many bytes of unfinished bodies."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memstream.runtime.errors import Overloaded
from memstream.web.body_budget import BodyBudget


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 400)), max_size=40))
async def test_there_is_always_room_for_another_tenant(taken: list[tuple[str, int]]) -> None:
    budget = BodyBudget(1_000, wait=0.0)
    held = 0
    for tenant, size in taken:
        try:
            await budget.take(tenant, size)
        except Overloaded:
            continue
        held += size

    assert held < 1_000
    # What is free is halved by each tenant at most.
    await budget.take("another", 1_000 // 2**4)


async def test_a_body_waits_for_others_to_be_finished() -> None:
    budget = BodyBudget(1_000, wait=60.0)
    await budget.take("acme", 500)
    waiting = asyncio.create_task(budget.take("acme", 100))
    await asyncio.sleep(0)
    assert not waiting.done()

    budget.give_back("acme", 300)

    await waiting


async def test_a_body_that_waited_too_long_is_refused_with_the_limit() -> None:
    budget = BodyBudget(1_000, wait=0.01)
    await budget.take("acme", 500)

    with pytest.raises(Overloaded, match="bodies_bytes"):
        await budget.take("acme", 1)


async def test_only_so_much_waits_and_one_tenant_leaves_room_for_another() -> None:
    budget = BodyBudget(1_000, wait=60.0)
    await budget.take("acme", 500)
    waiting = [asyncio.create_task(budget.take("acme", 125))]
    await asyncio.sleep(0)

    with pytest.raises(Overloaded, match="bodies_bytes"):
        await budget.take("acme", 1)

    waiting.append(asyncio.create_task(budget.take("other", 300)))
    await asyncio.sleep(0)
    assert not any(one.done() for one in waiting)
    budget.give_back("acme", 500)
    await asyncio.gather(*waiting)
    # What has waited waits no longer.
    budget.give_back("other", 300)
    await budget.take("acme", 300)
    again = asyncio.create_task(budget.take("acme", 250))
    await asyncio.sleep(0)
    budget.give_back("acme", 425)
    await again
