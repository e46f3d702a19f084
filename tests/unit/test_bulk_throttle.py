"""How many batches of an import are in progress beside live messages."""

from hypothesis import given
from hypothesis import strategies as st

from memstream.embedder.bulk_throttle import BulkThrottle

MOST = 8
EVERY = 0.1
"""Seconds between two live batches."""


def after(throttle: BulkThrottle, seconds: float, *, begin: float, lasting: float) -> float:
    """Let live batches take so long each, for a while; return the time at the end."""
    now = begin
    while now < begin + lasting:
        now += EVERY
        throttle.note_live(seconds, now)
    return now


def test_without_live_messages_an_import_may_have_everything() -> None:
    assert BulkThrottle(MOST).allowed(100.0) == MOST


def test_beside_the_first_live_message_an_import_is_down_to_one_batch() -> None:
    throttle = BulkThrottle(MOST)
    throttle.note_live(0.01, 5.0)

    assert throttle.allowed(5.0) == 1


def test_a_second_after_the_last_live_message_an_import_may_have_everything_again() -> None:
    throttle = BulkThrottle(MOST)
    now = after(throttle, 0.01, begin=0.0, lasting=1.0)
    assert throttle.allowed(now + 0.9) < MOST

    assert throttle.allowed(now + 1.1) == MOST


def test_where_live_messages_take_what_they_always_took_the_import_gets_all_of_it_back() -> None:
    throttle = BulkThrottle(MOST)
    now = after(throttle, 0.03, begin=0.0, lasting=20.0)

    assert throttle.allowed(now) == MOST


def test_where_they_take_a_multiple_the_import_is_throttled() -> None:
    throttle = BulkThrottle(MOST)
    now = after(throttle, 0.005, begin=0.0, lasting=20.0)
    now = after(throttle, 0.05, begin=now, lasting=2.0)
    assert throttle.allowed(now) == 1

    now = after(throttle, 0.005, begin=now, lasting=20.0)
    assert throttle.allowed(now) == MOST


def test_what_they_take_from_now_on_is_believed_within_a_minute() -> None:
    """A slower Qdrant is no fault of the import."""
    throttle = BulkThrottle(MOST)
    now = after(throttle, 0.005, begin=0.0, lasting=20.0)
    now = after(throttle, 0.05, begin=now, lasting=61.0)
    now = after(throttle, 0.05, begin=now, lasting=20.0)

    assert throttle.allowed(now) == MOST


@given(st.integers(1, 64), st.lists(st.tuples(st.floats(0, 100), st.floats(0, 5))))
def test_an_import_never_stands_still_and_never_has_more_than_there_is(
    most: int, batches: list[tuple[float, float]]
) -> None:
    throttle, now = BulkThrottle(most), 0.0
    for seconds, later in batches:
        now += later
        throttle.note_live(seconds, now)
        assert 1 <= throttle.allowed(now) <= most
