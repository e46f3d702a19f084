"""What the best hits of a question say about whether they answer it."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memstream.retriever.ranking import CLUES
from memstream.retriever.ranking.confidence import BEST, BestHits

values = st.lists(st.floats(-30, 30), min_size=1, max_size=BEST).map(lambda given: sorted(given, reverse=True))


def hits(
    *scores: float,
    cosines: list[float] | None = None,
    coverages: list[float] | None = None,
    background: float = -1.0,
) -> BestHits:
    """Return the best hits; without coverages they cover nothing."""
    return BestHits(
        np.array(scores),
        None if cosines is None else np.array(cosines),
        np.array(coverages or [0.0] * len(scores)),
        {},
        background,
    )


def clue(name: str, best: BestHits) -> float:
    """Return what the best hits say."""
    (found,) = (one.formula(best) for one in CLUES if one.name == name)
    return found


def test_the_lead_is_the_greater_the_farther_the_first_is_ahead() -> None:
    leads = [clue("lead", hits(2.0, *[behind] * 19)) for behind in (2.0, 1.0, -1.0, -5.0)]

    assert leads == sorted(leads)
    assert leads[0] == pytest.approx(-math.log(20) / 0.5)
    assert leads[-1] < 0.0


def test_hits_that_are_near_count_more_than_those_far_behind() -> None:
    near, nearer = (clue("lead", hits(2.0, behind, *[-5.0] * 18)) for behind in (0.9, 1.9))
    far, farther = (clue("lead", hits(2.0, behind, *[-5.0] * 18)) for behind in (-6.0, -7.0))

    assert near - nearer > 10 * (farther - far) > 0.0


def test_the_background_stands_in_for_hits_that_there_are_not() -> None:
    assert clue("lead", hits(2.0, 1.0)) == pytest.approx(clue("lead", hits(2.0, 1.0, *[-1.0] * 18)))
    assert clue("lead", hits(2.0)) > clue("lead", hits(2.0, background=1.0))


def test_a_cosine_leads_by_how_far_it_is_above_the_fourth_to_the_tenth() -> None:
    best = hits(*range(12, 0, -1), cosines=[0.9, 0.8, 0.8, *[0.3] * 7, 0.8, 0.8])

    assert clue("first_cosine", best) == 0.9
    assert clue("cosine_lead", best) == pytest.approx(0.6)


def test_of_few_hits_a_cosine_leads_what_unrelated_ones_would_have() -> None:
    assert clue("cosine_lead", hits(1.0, cosines=[0.7])) == pytest.approx(0.7)
    assert clue("cosine_lead", hits(4, 3, 2, 1, cosines=[0.7, 0.7, 0.7, 0.7])) == pytest.approx(0.7 - 0.1)


def test_without_cosines_they_say_nothing() -> None:
    assert clue("first_cosine", hits(1.0)) == clue("cosine_lead", hits(1.0)) == 0.0


def test_a_partial_coverage_leads_like_a_cosine() -> None:
    best = hits(*range(10, 0, -1), coverages=[0.8, 0.9, 0.9, *[0.2] * 7])

    assert clue("first_coverage", best) == 0.8
    assert clue("coverage_lead", best) == pytest.approx(0.6)
    assert 0.6 < clue("coverage_lead", hits(1.0, coverages=[0.8])) < 0.8


@given(values, st.floats(-30, 30))
def test_a_lead_is_about_differences_alone(scores: list[float], more: float) -> None:
    best = hits(*scores)
    moved = replace(best, scores=best.scores + more, background=best.background + more)

    assert clue("lead", moved) == pytest.approx(clue("lead", best), abs=1e-6)


@given(values)
def test_what_is_said_is_a_number(scores: list[float]) -> None:
    best = hits(*scores, cosines=scores)

    assert all(math.isfinite(one.formula(best)) for one in CLUES)
