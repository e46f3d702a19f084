"""Recency: half of it is gone after each half-life, and relevance stays out of it."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from memstream.retriever.ranking.recency import recency_of, recency_weighted

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
DAY = 86_400.0

ages = st.floats(0, 1e9)
half_lives = st.floats(1, 1e10)
shares = st.floats(0, 1)


def recency(age: float, half_life: float) -> float:
    """Return the recency of what was said so many seconds ago."""
    return recency_of(NOW - timedelta(seconds=age), NOW, half_life)


@pytest.mark.parametrize(("days", "left"), [(0, 1.0), (7, 0.5), (14, 0.25), (70, 2.0**-10)])
def test_half_of_it_is_gone_after_each_half_life(days: int, left: float) -> None:
    assert recency(days * DAY, 7 * DAY) == pytest.approx(left)


def test_what_is_yet_to_come_is_as_recent_as_what_is_said_now() -> None:
    assert recency(-5 * DAY, DAY) == 1.0


def test_what_is_far_older_than_the_half_life_is_not_recent_at_all() -> None:
    assert recency_of(datetime(1900, 1, 1, tzinfo=UTC), NOW, 1.0) == 0.0


@given(ages, ages, half_lives)
def test_the_later_is_never_the_less_recent(age: float, other: float, half_life: float) -> None:
    earlier, later = max(age, other), min(age, other)

    assert 0.0 <= recency(earlier, half_life) <= recency(later, half_life) <= 1.0


@given(shares, shares, shares)
def test_a_score_loses_at_most_the_weight(score: float, share: float, weight: float) -> None:
    assert score * (1 - weight) - 1e-9 <= recency_weighted(score, share, weight) <= score + 1e-9


@given(shares, shares)
def test_with_a_weight_of_0_age_does_not_matter(score: float, share: float) -> None:
    assert recency_weighted(score, share, 0.0) == score


@given(shares, shares)
def test_with_a_weight_of_1_only_the_recency_is_left(score: float, share: float) -> None:
    assert recency_weighted(score, share, 1.0) == pytest.approx(score * share)


@given(st.floats(0.001, 1), shares, shares, st.floats(0.01, 1))
def test_of_two_equally_relevant_ones_the_more_recent_is_ahead(
    score: float, share: float, other: float, weight: float
) -> None:
    assume(not math.isclose(share, other, abs_tol=1e-6))

    assert (recency_weighted(score, share, weight) > recency_weighted(score, other, weight)) == (share > other)
