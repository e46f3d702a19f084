"""Retrying until success: what is waited for, for how long, and who is told."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from unit.examples import seeded
from unit.manual_clock import ManualClock
from waiting import PATIENCE, until

from memstream.embedder.dependencies import DependencyFaults
from memstream.embedder.retries import InputSuspected, Retrier
from memstream.runtime.backoff import Backoff
from memstream.runtime.clock import SystemClock
from memstream.runtime.errors import GlobalFault, Rejected, Throttled, Unavailable


class Bench:
    """A call that fails as it is told, and what retries it by a manual clock."""

    def __init__(self, *failures: Exception, longest_wait: float = 60.0) -> None:
        self.clock = ManualClock()
        self.faults = DependencyFaults()
        self.beats = 0
        self.counted: list[str] = []
        self.seen_while_failing: list[bool] = []
        self._failures = iter(failures)
        self.retrying = Retrier(
            self.faults,
            self.clock,
            seeded(),
            Backoff(initial=1.0, maximum=8.0),
            self._beat,
            lambda error: self.counted.append(type(error).__name__),
            longest_wait,
        )

    def _beat(self) -> None:
        self.beats += 1
        self.seen_while_failing.append(self.faults.is_empty)

    async def call(self) -> str:
        """Fail, or answer."""
        if error := next(self._failures, None):
            raise error
        return "answer"


async def yes() -> bool:
    """Blame the input."""
    return True


async def no() -> bool:
    """Blame the servers."""
    return False


async def test_it_returns_what_the_call_returns_and_has_cleared_its_faults() -> None:
    bench = Bench(Unavailable("Qdrant", "down"), GlobalFault("the provider", "no key"), Throttled("Qdrant", "429"))

    assert await bench.retrying.until_success(bench.call) == "answer"
    assert bench.seen_while_failing == [False] * 3
    assert bench.faults.is_empty
    assert bench.beats == 3
    assert bench.counted == ["Unavailable", "GlobalFault", "Throttled"]


async def test_waits_grow_and_retry_after_is_honoured_up_to_the_bound() -> None:
    down = Unavailable("Qdrant", "down")
    asked = [Unavailable("Qdrant", "503", retry_after=20.0), Throttled("Qdrant", "429", retry_after=90.0)]
    bench = Bench(down, down, down, down, *asked)
    await bench.retrying.until_success(bench.call)

    *grown, first, second = bench.clock.slept
    assert all(bound / 2 <= slept <= bound for slept, bound in zip(grown, [1, 2, 4, 8], strict=True))
    assert (first, second) == (20.0, 60.0)


async def test_no_wait_is_longer_than_it_may_be() -> None:
    bench = Bench(*[Unavailable("Qdrant", "down", retry_after=30.0)] * 5, longest_wait=2.0)
    await bench.retrying.until_success(bench.call)

    assert bench.clock.slept == [2.0] * 5


async def test_a_refusal_is_raised_and_shows_that_the_dependency_works() -> None:
    bench = Bench(Unavailable("Qdrant", "down"), Rejected("HTTP 400"))
    with pytest.raises(Rejected):
        await bench.retrying.until_success(bench.call)

    assert bench.faults.is_empty


async def test_an_unknown_error_is_raised_at_once() -> None:
    bench = Bench(KeyError("x"))
    with pytest.raises(KeyError):
        await bench.retrying.until_success(bench.call)

    assert bench.clock.slept == []


async def test_after_six_failures_in_a_row_the_input_may_be_suspected() -> None:
    bench = Bench(*[Unavailable("Qdrant", "down")] * 20)
    with pytest.raises(InputSuspected, match="Qdrant: down"):
        await bench.retrying.until_success(bench.call, is_input_suspected=yes)

    assert bench.beats == 6
    assert bench.faults.is_empty


@pytest.mark.parametrize("suspects", [no, None])
async def test_an_outage_is_waited_for_however_often_it_fails(suspects: Callable[[], Awaitable[bool]] | None) -> None:
    bench = Bench(*[Unavailable("Qdrant", "down")] * 20)

    assert await bench.retrying.until_success(bench.call, is_input_suspected=suspects) == "answer"
    assert bench.beats == 20


async def test_a_wait_ends_early_when_another_call_gets_through_unless_the_server_asked_for_it() -> None:
    faults, clock = DependencyFaults(), SystemClock()
    retrying = Retrier(faults, clock, seeded(), Backoff(initial=3600.0, maximum=3600.0), lambda: None)
    calls = {"down": 0, "429": 0}

    async def call(reason: str) -> None:
        calls[reason] += 1
        if calls[reason] == 1:
            raise (Throttled if reason == "429" else Unavailable)("Qdrant", reason)

    waiting, asked_to = (asyncio.create_task(retrying.until_success(lambda r=r: call(r))) for r in calls)  # type: ignore[misc]
    await until(lambda: all(calls.values()), "both have failed once")
    faults.clear("Qdrant")
    await asyncio.wait_for(waiting, PATIENCE)

    assert calls == {"down": 2, "429": 1}
    asked_to.cancel()
    await asyncio.gather(asked_to, return_exceptions=True)
