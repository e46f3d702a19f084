"""How long is waited: after failures, and until a deadline."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.examples import seeded
from unit.manual_clock import ManualClock

from memstream.runtime.backoff import Backoff
from memstream.runtime.deadline import Deadline

backoffs = st.builds(Backoff, initial=st.floats(0.001, 5), maximum=st.floats(5, 600), factor=st.floats(1, 10))


@given(backoffs, st.integers(1, 10**6), st.randoms(use_true_random=False))
def test_a_delay_is_half_to_all_of_its_bound(backoff: Backoff, attempt: int, chance: object) -> None:
    bound = min(backoff.maximum, backoff.initial * backoff.factor ** min(attempt - 1, 64))

    assert bound / 2 <= backoff.delay(attempt, chance) <= bound  # type: ignore[arg-type] # hypothesis' Random


def test_the_first_delay_is_at_most_the_initial_one() -> None:
    backoff = Backoff(initial=0.2)

    assert all(0.1 <= backoff.delay(1, seeded(seed)) <= 0.2 for seed in range(100))


def test_bounds_double_until_the_maximum() -> None:
    backoff = Backoff(initial=1.0, maximum=5.0)

    largest = [max(backoff.delay(attempt, seeded(seed)) for seed in range(300)) for attempt in (1, 2, 3, 4, 1000)]
    assert largest == pytest.approx([1, 2, 4, 5, 5], rel=0.02)


def test_delays_differ_so_that_workers_do_not_come_back_together() -> None:
    assert len({Backoff().delay(3, seeded(seed)) for seed in range(100)}) == 100


def test_a_deadline_tells_what_is_left() -> None:
    clock = ManualClock()
    deadline = Deadline(clock, 2.0)
    clock.advance(0.5)

    assert deadline.left() == 1.5
    assert not deadline.passed


@pytest.mark.parametrize("late", [0.0, 0.1, 1000.0])
def test_nothing_is_left_of_a_deadline_that_has_passed(late: float) -> None:
    clock = ManualClock()
    deadline = Deadline(clock, 2.0)
    clock.advance(2.0 + late)

    assert deadline.left() == 0.0
    assert deadline.passed


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_a_deadline_of_no_time_has_passed_at_once(seconds: float) -> None:
    assert Deadline(ManualClock(), seconds).passed
