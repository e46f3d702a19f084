"""Diversity: what repeats a better hit steps back, and nothing is lost or doubled by that."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from memstream.retriever.ranking.diversity import Matrix, diversify


@st.composite
def hits(draw: st.DrawFn) -> tuple[list[float], Matrix]:
    """Make scores and a vector for each."""
    scores = draw(st.lists(st.floats(0, 1), max_size=12))
    elements = st.sampled_from([-1.0, -0.5, 0.0, 0.25, 1.0])
    vectors: Any = draw(arrays.arrays(np.float32, (len(scores), 3), elements=elements))
    return scores, vectors


strengths = st.floats(0, 1)


@given(hits(), strengths, st.integers(1, 15))
def test_it_places_different_hits_up_to_the_limit(
    given_hits: tuple[list[float], Matrix], strength: float, limit: int
) -> None:
    scores, vectors = given_hits
    placed = [place for place, _ in diversify(scores, vectors, strength, limit)]

    assert len(placed) == len(set(placed)) == min(limit, len(scores))
    assert set(placed) <= set(range(len(scores)))


@given(hits())
def test_without_strength_the_order_is_that_of_the_scores(given_hits: tuple[list[float], Matrix]) -> None:
    scores, vectors = given_hits
    placed = [place for place, _ in diversify(scores, vectors, 0.0, 100)]

    assert placed == sorted(range(len(scores)), key=lambda place: -scores[place])


@given(hits(), strengths)
def test_the_best_one_comes_first_and_repeats_nothing(given_hits: tuple[list[float], Matrix], strength: float) -> None:
    scores, vectors = given_hits
    placed = diversify(scores, vectors, strength, 100)

    assert placed[:1] == [(scores.index(max(scores)), 0.0)] if scores else placed == []


@given(hits(), strengths)
def test_redundancy_is_the_square_of_the_largest_cosine_with_what_stands_before(
    given_hits: tuple[list[float], Matrix], strength: float
) -> None:
    scores, vectors = given_hits
    placed = diversify(scores, vectors, strength, 100)

    for position, (place, redundancy) in enumerate(placed):
        others = [_cosine(vectors[place], vectors[other]) for other, _ in placed[:position]]
        assert redundancy == pytest.approx(max([0.0, *others]) ** 2, abs=1e-5)


@given(hits(), strengths)
def test_each_place_is_taken_by_the_highest_of_what_is_left(
    given_hits: tuple[list[float], Matrix], strength: float
) -> None:
    scores, vectors = given_hits
    placed = diversify(scores, vectors, strength, 100)

    for position, (place, redundancy) in enumerate(placed):
        before = [vectors[other] for other, _ in placed[:position]]
        for other, _ in placed[position + 1 :]:
            repeats = max([0.0, *(_cosine(vectors[other], one) for one in before)]) ** 2
            assert scores[place] * (1 - strength * redundancy) >= scores[other] * (1 - strength * repeats) - 1e-5


@given(hits(), strengths, st.sampled_from([0.5, 4.0, 1024.0]))
def test_the_length_of_a_vector_does_not_matter(
    given_hits: tuple[list[float], Matrix], strength: float, factor: float
) -> None:
    scores, vectors = given_hits

    # By powers of two, so that nothing is rounded.
    assert diversify(scores, vectors * np.float32(factor), strength, 100) == diversify(scores, vectors, strength, 100)


def test_a_repetition_comes_after_something_else_that_is_a_little_less_relevant() -> None:
    vectors = np.array([[1, 0], [1, 0], [0, 1]], np.float32)

    assert [place for place, _ in diversify([0.9, 0.89, 0.6], vectors, 0.0, 3)] == [0, 1, 2]
    assert [place for place, _ in diversify([0.9, 0.89, 0.6], vectors, 0.5, 3)] == [0, 2, 1]


def test_what_is_hardly_relevant_does_not_gain_by_being_different() -> None:
    vectors = np.array([[1, 0], [0.8, 0.6], [0, 1]], np.float32)

    assert [place for place, _ in diversify([0.9, 0.8, 0.01], vectors, 0.9, 3)] == [0, 1, 2]


def test_with_full_strength_an_exact_repetition_comes_last() -> None:
    vectors = np.array([[1, 0], [1, 0], [0, 1]], np.float32)

    assert [place for place, _ in diversify([0.9, 0.89, 0.001], vectors, 1.0, 3)] == [0, 2, 1]


def _cosine(one: Matrix, other: Matrix) -> float:
    length = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / length if length else 0.0
