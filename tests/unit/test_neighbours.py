"""What a turn inherits from the turns around it, and from its conversation."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memstream.retriever.ranking import neighbours
from memstream.retriever.ranking.neighbours import AFTER, BEFORE, OTHERS, Turns


class Turn(NamedTuple):
    """A candidate's place in its conversation, its length, and its own score."""

    conversation_id: str | None
    order: str
    words: int
    score: float
    by_assistant: bool = False


class Inherited(NamedTuple):
    """What a turn gets."""

    neighbours: float = 0.0
    conversation: float = 0.0
    answered: int = -1
    openness: float = 0.0


def inherit(turns: Sequence[Turn]) -> list[Inherited]:
    """Give what each turn inherits."""
    conversations, orders, words, scores, by_assistant = zip(*turns, strict=True) if turns else [()] * 5
    found = neighbours.inherit(Turns(conversations, orders, np.asarray(words, np.float64), scores, by_assistant))
    return [Inherited(*one) for one in zip(*found, strict=True)]


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
    """Make one conversation's turns, in order."""
    return [Turn("chat", f"{place:03}", words, score) for place, score in enumerate(scores)]


def near(candidates: list[Turn]) -> list[float]:
    """Give what each turn gets from the turns beside it."""
    return [inherited.neighbours for inherited in inherit(candidates)]


def test_a_turn_inherits_more_from_what_it_answers_than_from_what_answers_it() -> None:
    # A quarter of the candidates has a lower score than 0, so 0 is what counts as none.
    assert near(chat(0.0, 0.0, 10.0, 0.0, 0.0)) == pytest.approx([0.0, AFTER * 10, 0.0, BEFORE * 10, 0.0])


def test_a_long_turn_stands_alone() -> None:
    short, long = near(chat(0.0, 10.0, 0.0, words=3)), near(chat(0.0, 10.0, 0.0, words=3000))

    assert short[2] > 1.0
    assert long[2] == pytest.approx(0.0, abs=1e-6)


def test_who_writes_to_an_assistant_begins_anew_and_its_reply_does_not() -> None:
    first, reply, second, last = (
        turn._replace(by_assistant=place % 2 == 1) for place, turn in enumerate(chat(9.0, 9.0, 0.0, 0.0))
    )

    inherited = inherit([first, reply, second, last])

    assert [one.answered for one in inherited] == [-1, 0, -1, 2]
    assert inherited[1].neighbours > 0.0
    assert inherited[2].neighbours == 0.0
    assert inherited[1].openness == 1.0


def test_a_conversation_speaks_for_a_turn_by_the_best_of_its_others() -> None:
    found = [inherited.conversation for inherited in inherit(chat(0.0, 0.0, 3.0, 6.0, 9.0))]

    assert OTHERS == 3
    assert found == pytest.approx([6.0, 6.0, 5.0, 4.0, 3.0])


def test_a_conversation_of_one_candidate_says_nothing() -> None:
    one, other = Turn("x", "1", 1, 9.0), Turn("y", "2", 1, 0.0)

    assert inherit([one, other]) == [Inherited(), Inherited()]


def test_messages_without_a_conversation_inherit_nothing() -> None:
    alone = [turn._replace(conversation_id=None) for turn in chat(9.0, 0.0, 9.0)]

    assert inherit(alone) == [Inherited(), Inherited(), Inherited()]


def test_no_turns_inherit_nothing() -> None:
    assert inherit([]) == []


@given(turns, st.randoms(use_true_random=False))
def test_the_order_of_the_candidates_does_not_matter(candidates: list[Turn], chance: object) -> None:
    shuffled = sorted(candidates, key=lambda _: chance.random())  # type: ignore[attr-defined] # hypothesis' Random
    expected = dict(zip(candidates, inherit(candidates), strict=True))

    for turn, inherited in zip(shuffled, inherit(shuffled), strict=True):
        assert inherited.neighbours == pytest.approx(expected[turn].neighbours)
        assert inherited.conversation == pytest.approx(expected[turn].conversation)


@given(turns)
def test_no_turn_inherits_more_than_the_others_stand_out(candidates: list[Turn]) -> None:
    scores = [turn.score for turn in candidates]
    spread = max(scores, default=0.0) - min(scores, default=0.0)

    for inherited in inherit(candidates):
        assert abs(inherited.neighbours) <= (BEFORE + AFTER) * spread + 1e-9
        assert abs(inherited.conversation) <= spread + 1e-9


@given(st.lists(st.floats(-1, 30), min_size=1))
def test_no_score_at_all_is_the_lower_quartile(scores: list[float]) -> None:
    first = Turn("c", "2026", 0, 100.0)
    candidates = [first, Turn("c", "2027", 0, 0.0), *(Turn(None, "", 0, score) for score in scores)]

    none = float(np.quantile([turn.score for turn in candidates], 0.25))

    assert inherit(candidates)[1].conversation == pytest.approx(100.0 - none)
