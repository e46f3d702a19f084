"""Faults end, whatever becomes of the parts meanwhile."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from reliability.fault_injection import FaultInjector
from reliability.faults import AtPoint
from reliability.history import History
from reliability.links import Link
from reliability.points import LATE_WRITES
from waiting import PATIENCE, until


@pytest.fixture
def link() -> Link:
    return Link("embedder-1", "qdrant", 1)


@pytest.fixture
def injector(link: Link) -> FaultInjector:
    site: Any = SimpleNamespace(
        history=History(),
        links={link.name: link},
        parts=SimpleNamespace(runs=lambda _: False),
        hold_down=lambda _: None,
        let_up=lambda _: None,
    )
    return FaultInjector(site)


def begin_to_hold(injector: FaultInjector, link: Link, seconds: float) -> asyncio.Task[bool]:
    """Keep a write of a worker back."""
    injector.inject(AtPoint(LATE_WRITES[0], "hold", seconds))
    return asyncio.create_task(link.watches[0].trigger(link))


async def test_a_write_that_is_kept_back_without_a_limit_goes_on_when_the_run_is_over(
    injector: FaultInjector, link: Link
) -> None:
    held = begin_to_hold(injector, link, 0.0)
    async with asyncio.timeout(PATIENCE):
        await until(lambda: not link.watches, "it is kept back")
        assert not held.done()
        await injector.finish()
        assert await held


async def test_a_write_that_is_kept_back_for_some_seconds_goes_on_after_them(
    injector: FaultInjector, link: Link
) -> None:
    async with asyncio.timeout(PATIENCE):
        assert await begin_to_hold(injector, link, 0.01)


async def test_the_end_does_not_wait_for_a_write_whose_server_ended_while_it_was_kept_back(
    injector: FaultInjector, link: Link
) -> None:
    held = begin_to_hold(injector, link, 0.0)
    await until(lambda: not link.watches, "it is kept back")
    await asyncio.sleep(0)
    held.cancel()
    async with asyncio.timeout(PATIENCE):
        await asyncio.wait([held])
        await injector.finish()
    assert held.cancelled()
