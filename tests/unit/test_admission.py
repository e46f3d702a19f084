"""Whether new messages are taken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memstream.ingest.admission import Admitted, LimitReached, Reading, Unknown, Watermarks, Write

readings = st.builds(Reading, backlog=st.integers(0, 10**7), memory=st.floats(0, 2))
watermarks = st.builds(
    Watermarks, backlog=st.integers(1, 10**7), memory=st.floats(0.01, 1), lifetime=st.floats(0.1, 100)
)
ages = st.floats(0, 1000)

MARKS = Watermarks(backlog=100, memory=0.85, lifetime=10.0)


@given(watermarks, readings, ages)
def test_a_message_is_taken_exactly_below_both_marks_by_a_fresh_reading(
    marks: Watermarks, reading: Reading, age: float
) -> None:
    taken = age <= marks.lifetime and reading.backlog < marks.backlog and reading.memory < marks.memory

    assert isinstance(marks.admit(reading, age), Admitted) == taken


@given(watermarks, readings, ages)
def test_a_stale_reading_says_nothing(marks: Watermarks, reading: Reading, age: float) -> None:
    assert isinstance(marks.admit(reading, age), Unknown) == (age > marks.lifetime)


@given(watermarks, ages)
def test_nothing_is_taken_before_the_first_reading(marks: Watermarks, age: float) -> None:
    assert isinstance(marks.admit(None, age), Unknown)


@given(watermarks, readings, readings)
def test_more_waiting_never_opens_the_door(marks: Watermarks, one: Reading, other: Reading) -> None:
    worse = Reading(max(one.backlog, other.backlog), max(one.memory, other.memory))

    if isinstance(marks.admit(worse, 0.0), Admitted):
        assert isinstance(marks.admit(one, 0.0), Admitted)
        assert isinstance(marks.admit(other, 0.0), Admitted)


@pytest.mark.parametrize(
    ("reading", "reason"),
    [
        (Reading(100, 0.0), "100 messages wait to be embedded, the limit is 100"),
        (Reading(0, 0.9), "Redis is 90% full, the limit is 85%"),
    ],
)
def test_a_refusal_says_why_and_when_to_come_back(reading: Reading, reason: str) -> None:
    assert MARKS.admit(reading, 0.0) == LimitReached(reason, 10.0)


@given(watermarks, readings)
def test_messages_are_refused_where_it_is_full(marks: Watermarks, reading: Reading) -> None:
    assert isinstance(marks.admit(reading, 0.0), LimitReached) == (marks.crowd(reading).fullness >= 1)


def test_a_redis_without_a_limit_is_never_full() -> None:
    assert MARKS.admit(Reading(0, 0.0), 0.0) == Admitted()


@given(watermarks, readings)
def test_messages_are_refused_before_deletions_and_after_deletions_of_nothing(
    marks: Watermarks, reading: Reading
) -> None:
    full = Reading(0, reading.memory)
    unseen, message, deletion = (isinstance(marks.admit(full, 0.0, write), Admitted) for write in Write)

    assert unseen <= message <= deletion


def test_a_deletion_is_not_refused_for_the_backlog() -> None:
    assert MARKS.admit(Reading(10**6, 0.1), 0.0, Write.DELETION) == Admitted()
