"""What other turns of its conversation say about a turn."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memstream.retriever.ranking import conversations
from memstream.retriever.ranking.conversations import AFTER, BEFORE, OTHERS, TurnColumns


class Turn(NamedTuple):
    """A candidate's place in its conversation, its length, and its own score."""

    conversation_id: str | None
    order: str
    words: int
    score: float
    by_assistant: bool = False


class ContextScore(NamedTuple):
    """What other turns say about a turn."""

    adjacent_turns: float = 0.0
    conversation: float = 0.0
    replied_to: int = -1
    reply_share: float = 0.0


def context_scores(turns: Sequence[Turn]) -> list[ContextScore]:
    """Return the context scores of each turn."""
    names, times, words, scores, by_assistant = zip(*turns, strict=True) if turns else [()] * 5
    columns = TurnColumns(names, times, np.asarray(words, np.float64), scores, by_assistant)
    return [ContextScore(*one) for one in zip(*conversations.context_scores(columns), strict=True)]


turns = st.lists(
    st.builds(
        Turn,
        st.none() | st.sampled_from(["x", "y"]),
        st.text("123456", min_size=1, max_size=2),
        st.integers(0, 500),
        st.floats(-20, 20),
        st.booleans(),
    ),
    max_size=12,
    unique_by=lambda turn: (turn.conversation_id, turn.order),
)


def chat(*scores: float, words: int = 0) -> list[Turn]:
    """Return one conversation's turns, in order."""
    return [Turn("chat", f"{place:03}", words, score) for place, score in enumerate(scores)]


def adjacent(candidates: list[Turn]) -> list[float]:
    """Return what the turns beside it add to each turn."""
    return [score.adjacent_turns for score in context_scores(candidates)]


def test_a_turn_gets_more_from_the_one_it_replies_to_than_from_the_one_that_replies() -> None:
    # The lower quartile of the scores is 0, so 0 counts as zero.
    assert adjacent(chat(0.0, 0.0, 10.0, 0.0, 0.0)) == pytest.approx([0.0, AFTER * 10, 0.0, BEFORE * 10, 0.0])


def test_a_long_turn_stands_alone() -> None:
    short, long = adjacent(chat(0.0, 10.0, 0.0, words=3)), adjacent(chat(0.0, 10.0, 0.0, words=3000))

    assert short[2] > 1.0
    assert long[2] == pytest.approx(0.0, abs=1e-6)


def test_who_writes_to_an_assistant_begins_anew_and_its_reply_does_not() -> None:
    first, reply, second, last = (
        turn._replace(by_assistant=place % 2 == 1) for place, turn in enumerate(chat(9.0, 9.0, 0.0, 0.0))
    )

    scores = context_scores([first, reply, second, last])

    assert [one.replied_to for one in scores] == [-1, 0, -1, 2]
    assert scores[1].adjacent_turns > 0.0
    assert scores[2].adjacent_turns == 0.0
    assert scores[1].reply_share == 1.0


def test_a_conversation_speaks_for_a_turn_by_the_best_of_its_others() -> None:
    found = [score.conversation for score in context_scores(chat(0.0, 0.0, 3.0, 6.0, 9.0))]

    assert OTHERS == 3
    assert found == pytest.approx([6.0, 6.0, 5.0, 4.0, 3.0])


def test_a_conversation_of_one_candidate_says_nothing() -> None:
    one, other = Turn("x", "1", 1, 9.0), Turn("y", "2", 1, 0.0)

    assert context_scores([one, other]) == [ContextScore(), ContextScore()]


def test_messages_without_a_conversation_get_nothing() -> None:
    alone = [turn._replace(conversation_id=None) for turn in chat(9.0, 0.0, 9.0)]

    assert context_scores(alone) == [ContextScore(), ContextScore(), ContextScore()]


def test_no_turns_get_nothing() -> None:
    assert context_scores([]) == []


@given(turns, st.randoms(use_true_random=False))
def test_the_order_of_the_candidates_does_not_matter(candidates: list[Turn], chance: object) -> None:
    shuffled = sorted(candidates, key=lambda _: chance.random())  # type: ignore[attr-defined] # hypothesis' Random
    expected = dict(zip(candidates, context_scores(candidates), strict=True))

    for turn, score in zip(shuffled, context_scores(shuffled), strict=True):
        assert score.adjacent_turns == pytest.approx(expected[turn].adjacent_turns)
        assert score.conversation == pytest.approx(expected[turn].conversation)


@given(turns)
def test_no_turn_gets_more_than_the_others_stand_out(candidates: list[Turn]) -> None:
    scores = [turn.score for turn in candidates]
    spread = max(scores, default=0.0) - min(scores, default=0.0)

    for score in context_scores(candidates):
        assert abs(score.adjacent_turns) <= (BEFORE + AFTER) * spread + 1e-9
        assert abs(score.conversation) <= spread + 1e-9


@given(st.lists(st.floats(-1, 30), min_size=1))
def test_the_lower_quartile_counts_as_zero(scores: list[float]) -> None:
    first = Turn("c", "2026", 0, 100.0)
    candidates = [first, Turn("c", "2027", 0, 0.0), *(Turn(None, "", 0, score) for score in scores)]

    none = float(np.quantile([turn.score for turn in candidates], 0.25))

    assert context_scores(candidates)[1].conversation == pytest.approx(100.0 - none)
