"""Reranked hits: a new order of the same hits, whose relevances keep their places."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from unit.stored import stored

from memstream.retriever.ranking import RankedMessage
from memstream.retriever.reranking import reordered

scores_of_hits = st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=12)


def ranked(relevances: Sequence[float]) -> list[RankedMessage]:
    """Make hits, the most relevant first; each is named by its place."""
    return [
        RankedMessage(str(place), stored(str(place)), {"dense": 0.5}, relevance, {"recency": 1.0})
        for place, relevance in enumerate(sorted(relevances, reverse=True))
    ]


@st.composite
def hits_and_scores(draw: st.DrawFn) -> tuple[list[RankedMessage], list[float]]:
    """Make hits, some of them as relevant as others, and scores of the first of them."""
    scores = draw(scores_of_hits)
    count = draw(st.integers(len(scores), len(scores) + 5))
    relevances = draw(st.lists(st.sampled_from([0.0, 0.1, 0.5, 0.9]), min_size=count, max_size=count))
    return ranked(relevances), scores


def names(hits: Sequence[RankedMessage]) -> list[str]:
    return [hit.point for hit in hits]


def test_the_best_score_is_first_and_has_the_highest_relevance() -> None:
    found = reordered(ranked([0.9, 0.5, 0.2]), [-3.0, 0.1, 7.0])

    assert [(hit.point, hit.relevance, hit.notes["rerank"]) for hit in found] == [
        ("2", 0.9, 7.0),
        ("1", 0.5, 0.1),
        ("0", 0.2, -3.0),
    ]


@given(hits_and_scores())
def test_no_hit_is_lost_or_doubled(given_hits: tuple[list[RankedMessage], list[float]]) -> None:
    hits, scores = given_hits

    assert sorted(names(reordered(hits, scores))) == sorted(names(hits))


@given(hits_and_scores())
def test_relevances_are_the_same_at_every_place(given_hits: tuple[list[RankedMessage], list[float]]) -> None:
    hits, scores = given_hits

    assert [hit.relevance for hit in reordered(hits, scores)] == [hit.relevance for hit in hits]


@given(hits_and_scores())
def test_scores_fall_and_equal_ones_keep_their_order(given_hits: tuple[list[RankedMessage], list[float]]) -> None:
    hits, scores = given_hits
    first = reordered(hits, scores)[: len(scores)]

    keys = [(-scores[int(hit.point)], int(hit.point)) for hit in first]
    assert keys == sorted(keys)


@given(hits_and_scores())
def test_hits_without_a_score_stay_where_they_are(given_hits: tuple[list[RankedMessage], list[float]]) -> None:
    hits, scores = given_hits

    assert reordered(hits, scores)[len(scores) :] == hits[len(scores) :]


@given(hits_and_scores())
def test_a_hit_keeps_what_it_was_ranked_by(given_hits: tuple[list[RankedMessage], list[float]]) -> None:
    hits, scores = given_hits

    for hit in reordered(hits, scores):
        before = hits[int(hit.point)]
        assert (hit.message, hit.signals, hit.notes["recency"]) == (before.message, before.signals, 1.0)


@given(st.permutations(range(8)))
def test_any_order_can_be_asked_for(order: list[int]) -> None:
    scores = [float(-order.index(place)) for place in range(len(order))]

    assert names(reordered(ranked([0.5] * len(order)), scores)) == [str(place) for place in order]
