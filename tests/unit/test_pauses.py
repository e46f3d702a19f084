"""A server that fails is left alone for a while, and tried by one call before the others ask it again."""

import pytest

from memstream.retriever.reranking import Pause, PausePolicy

POLICY = PausePolicy(failures=3, seconds=5.0, longest=60.0)


def failed(times: int, now: float = 0.0) -> Pause:
    """Make a pause that knows of failures in a row."""
    pause = Pause(POLICY)
    for _ in range(times):
        pause.note_failure(now)
    return pause


@pytest.mark.parametrize(("failures", "may_call"), [(0, True), (2, True), (3, False), (4, False)])
def test_a_few_failures_in_a_row_begin_it(failures: int, *, may_call: bool) -> None:
    assert failed(failures).may_call(4.9) is may_call


def test_a_success_in_between_starts_the_count_anew() -> None:
    pause = failed(2)
    pause.note_success()
    pause.note_failure(0.0)

    assert pause.may_call(0.0)


def test_when_it_is_over_one_call_tries_the_server() -> None:
    pause = failed(3)

    assert [pause.may_call(now) for now in (5.0, 5.0, 9.9)] == [True, False, False]


def test_when_that_call_succeeds_all_may() -> None:
    pause = failed(3)
    pause.may_call(5.0)
    pause.note_success()

    assert [pause.may_call(now) for now in (5.1, 5.1)] == [True, True]


def test_when_that_call_fails_it_begins_anew() -> None:
    pause = failed(3)
    pause.may_call(5.0)
    pause.note_failure(6.0)

    assert [pause.may_call(now) for now in (10.9, 11.0)] == [False, True]


def test_when_nothing_is_heard_of_that_call_another_one_tries() -> None:
    pause = failed(3)
    pause.may_call(5.0)

    assert pause.may_call(10.0)


@pytest.mark.parametrize(("asked", "seconds"), [(1.0, 1.0), (30.0, 30.0), (3600.0, 60.0), (None, 5.0)])
def test_it_is_as_long_as_the_server_asks_within_bounds(asked: float | None, seconds: float) -> None:
    pause = Pause(POLICY)
    pause.begin(100.0, asked)

    assert (pause.is_on(100.0 + seconds - 0.1), pause.is_on(100.0 + seconds)) == (True, False)
