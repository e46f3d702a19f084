"""A newer statement goes before the one it updates."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.stored import stored

from memstream.contracts.searches import Recency
from memstream.retriever.ranking import COMPARED, RankedMessage, arrange
from memstream.retriever.ranking.updates import newest_first, oldest_first
from memstream.vectors.store import owner_of

OLD = "My deadline for the peer review is April 20."
NEW = "The deadline for my peer review has moved to April 25."


def said(name: str, text: str, day: int, relevance: float, **fields: Any) -> RankedMessage:  # noqa: ANN401 - any field
    """Return a ranked message that the user said on a day."""
    message = stored(name, text, **{"occurred_at": datetime(2024, 4, day, 9, tzinfo=UTC), **fields})
    return RankedMessage(name, message, {"dense": 0.5, "coverage": 0.5}, relevance)


def covering(one: RankedMessage, coverage: float) -> RankedMessage:
    """Let a message cover so much of the question."""
    return replace(one, signals={"dense": 0.5, "coverage": coverage})


def names(ranked: list[RankedMessage]) -> list[str]:
    """Return the ids of ranked messages."""
    return [one.message.message_id for one in ranked]


def test_what_has_moved_goes_before_what_it_was_and_says_so() -> None:
    order, scores = newest_first([said("old", OLD, 1, 0.8), said("new", NEW, 2, 0.6), said("other", "Hm.", 3, 0.1)])

    assert names(order) == ["new", "old", "other"]
    assert scores == [0.8, 0.8, 0.1]
    assert [one.notes for one in order] == [{"updates": 1.0}, {}, {}]
    assert order[0].relevance == 0.6


@pytest.mark.parametrize(
    "newer",
    [
        said("new", NEW, 1, 0.6),
        said("new", "My deadline for the peer review is April 25.", 2, 0.6),
        said("new", "I have just moved house.", 2, 0.6),
        said("new", NEW, 2, 0.6, speaker="Ben"),
        said("new", NEW, 2, 0.6, role="assistant"),
        said("new", NEW, 2, 0.6, kind="document"),
        said("new", NEW, 2, 0.6, owner=owner_of("acme", "*").name),
        covering(said("new", NEW, 2, 0.6), 0.2),
    ],
    ids=["not newer", "no change", "nothing in common", "speaker", "assistant", "document", "shared", "says less"],
)
def test_whatever_does_not_update_the_other_stays_behind_it(newer: RankedMessage) -> None:
    ranked = [said("old", OLD, 1, 0.8), newer]

    assert newest_first(ranked) == (ranked, [0.8, 0.6])


def test_what_an_assistant_or_a_document_tells_is_not_updated_by_another_of_it() -> None:
    for fields in ({"role": "assistant"}, {"kind": "document"}):
        ranked = [said("old", OLD, 1, 0.8, **fields), said("new", NEW, 2, 0.6, **fields)]

        assert newest_first(ranked)[0] == ranked


def test_what_was_before_goes_before_what_has_moved_and_says_so() -> None:
    order, scores = oldest_first([said("new", NEW, 2, 0.8), said("old", OLD, 1, 0.6), said("other", "Hm.", 3, 0.1)])

    assert names(order) == ["old", "new", "other"]
    assert scores == [0.8, 0.8, 0.1]
    assert [one.notes for one in order] == [{"updated": 1.0}, {}, {}]


def test_what_was_before_and_stands_first_has_not_moved() -> None:
    order, _ = oldest_first([said("old", OLD, 1, 0.8), said("new", NEW, 2, 0.6)])

    assert [one.notes for one in order] == [{}, {}]


def test_what_says_nothing_of_the_question_updates_nothing() -> None:
    ranked = [covering(said("old", OLD, 1, 0.8), 0.0), covering(said("new", NEW, 2, 0.6), 0.0)]

    assert newest_first(ranked) == (ranked, [0.8, 0.6])


def test_the_newest_of_three_comes_first() -> None:
    newest = said("newest", "My peer review deadline has moved again, to May 2.", 3, 0.5)

    order, scores = newest_first([said("old", OLD, 1, 0.8), said("new", NEW, 2, 0.6), newest])

    assert names(order) == ["newest", "new", "old"]
    assert scores == [0.8, 0.8, 0.8]


def test_what_stands_before_what_it_updates_already_has_not_moved() -> None:
    order, _ = newest_first([said("new", NEW, 2, 0.8), said("old", OLD, 1, 0.6)])

    assert [one.notes for one in order] == [{}, {}]


def arranged(
    ranked: list[RankedMessage], *, half_life: float | None = None, diversity: float = 0.0
) -> list[RankedMessage]:
    """Return messages as arranged, of which the last is unlike the others, in a question about the present."""
    return arrange(
        ranked,
        recency=None if half_life is None else Recency(half_life=half_life, weight=1.0),
        now=datetime(2024, 4, 3, 9, tzinfo=UTC),
        diversity=diversity,
        is_present=True,
        vectors={one.point: np.array([0.0, 1.0] if one is ranked[-1] else [1.0, 0.0], np.float32) for one in ranked},
        limit=10,
    )


def test_an_update_fades_from_the_relevance_of_what_it_updates() -> None:
    # A day old, and two days: half of it is gone, and three quarters.
    ranked = [said("old", OLD, 1, 0.8), said("new", NEW, 2, 0.3), said("other", "Hm.", 2, 0.38)]
    ranked.sort(key=lambda one: -one.relevance)

    assert names(arranged(ranked, half_life=86_400.0)) == ["new", "old", "other"]


def test_with_diversity_nothing_is_lost_and_what_is_unlike_the_first_comes_second() -> None:
    ranked = [said("old", OLD, 1, 0.8), said("new", NEW, 2, 0.6), said("other", "Hm.", 3, 0.5)]

    assert names(arranged(ranked, diversity=1.0)) == ["new", "other", "old"]


def test_what_is_far_behind_stays_there() -> None:
    ranked = [said("old", OLD, 1, 0.9), *(said(str(n), "Hm.", 3, 0.8) for n in range(COMPARED - 1))]

    assert newest_first([*ranked, said("new", NEW, 2, 0.7)])[0][:COMPARED] == ranked


texts = st.sampled_from([OLD, NEW, "The peer review deadline is new: May 2.", "Hm.", ""])
ranked = st.lists(st.tuples(texts, st.integers(1, 5), st.floats(0, 1)), max_size=6).map(
    lambda rows: sorted(
        (said(str(place), text, day, relevance) for place, (text, day, relevance) in enumerate(rows)),
        key=lambda one: -one.relevance,
    )
)


@given(ranked)
def test_nothing_is_lost_and_nothing_counts_for_less(given_order: list[RankedMessage]) -> None:
    order, scores = newest_first(given_order)

    assert sorted(names(order)) == sorted(names(given_order))
    assert scores == sorted(scores, reverse=True)
    assert all(score >= one.relevance for one, score in zip(order, scores, strict=True))
    # Only what tells of a change has moved.
    still = [name for name, one in zip(names(order), order, strict=True) if not one.notes]
    assert still == [name for name in names(given_order) if name in still]
