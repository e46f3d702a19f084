"""Live is who makes progress, ready is who can serve."""

import asyncio

import pytest
from unit.manual_clock import ManualClock

from memstream.runtime.errors import GlobalFault, Unavailable
from memstream.runtime.health import Health, Verdict


async def well() -> None:
    """Be well."""


async def ill() -> None:
    """Be out of reach."""
    raise Unavailable("Redis", "connection refused")


def test_a_loop_that_beats_is_live() -> None:
    clock = ManualClock()
    health = Health(clock)
    pulse = health.pulse("reader", max_silence=10)
    for _ in range(5):
        clock.advance(10)
        assert health.live().healthy
        pulse.beat()


def test_a_loop_that_is_silent_for_too_long_is_not_live() -> None:
    clock = ManualClock()
    health = Health(clock)
    health.pulse("reader", max_silence=10)
    health.pulse("writer", max_silence=20)
    clock.advance(10.5)

    assert not health.live().healthy
    assert health.live().parts == {"reader": "silent for 10 s", "writer": "ok"}


def test_a_loop_that_beats_again_is_live_again() -> None:
    clock = ManualClock()
    health = Health(clock)
    pulse = health.pulse("reader", max_silence=10)
    clock.advance(11)
    pulse.beat()

    assert pulse.silence() == 0
    assert health.live().healthy


async def test_a_process_without_parts_is_live_and_ready() -> None:
    health = Health(ManualClock())

    assert health.live().healthy
    assert (await health.ready()).healthy


async def test_a_process_is_ready_when_every_part_is_well() -> None:
    health = Health(ManualClock())
    health.check("redis", well)
    health.check("qdrant", well)

    assert await health.ready() == Verdict({"redis": "ok", "qdrant": "ok"})


async def test_each_part_that_is_ill_is_named_with_its_trouble() -> None:
    async def misconfigured() -> None:
        raise GlobalFault("Qdrant", "the collection is missing")

    health = Health(ManualClock())
    health.check("redis", ill)
    health.check("clock", well)
    health.check("qdrant", misconfigured)
    verdict = await health.ready()

    assert not verdict.healthy
    assert verdict.parts == {
        "redis": "Redis: connection refused",
        "clock": "ok",
        "qdrant": "Qdrant: the collection is missing",
    }


async def test_a_part_that_does_not_answer_is_not_waited_for() -> None:
    health = Health(ManualClock(), within=0.5)
    health.check("redis", asyncio.Event().wait)  # type: ignore[arg-type] # what it gives doesn't matter
    health.check("qdrant", well)

    assert (await health.ready()).parts == {"redis": "no answer within 0.5 s", "qdrant": "ok"}


async def test_parts_are_asked_at_the_same_time() -> None:
    barrier = asyncio.Barrier(3)

    async def meet() -> None:
        await barrier.wait()

    health = Health(ManualClock())
    for name in ("a", "b", "c"):
        health.check(name, meet)

    assert (await health.ready()).healthy


def test_bad_health_does_not_make_a_process_dead() -> None:
    health = Health(ManualClock())
    health.check("redis", ill)

    assert health.live().healthy


async def test_a_mistake_of_ours_is_not_taken_for_bad_health() -> None:
    async def broken() -> None:
        raise ZeroDivisionError

    health = Health(ManualClock())
    health.check("redis", broken)

    with pytest.raises(ZeroDivisionError):
        await health.ready()


async def test_however_many_ask_each_part_is_asked_for_all_of_them_together() -> None:
    asked = 0

    async def count() -> None:
        nonlocal asked
        asked += 1

    health = Health(ManualClock())
    health.check("redis", count)
    verdicts = await asyncio.gather(*(health.ready() for _ in range(100)))

    assert all(verdict.healthy for verdict in verdicts)
    assert asked == 1
