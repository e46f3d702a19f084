"""What other turns of its conversation say about a turn."""

import math
from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.stored import NOON

from memstream.retriever.ranking import conversations
from memstream.retriever.ranking.conversations import APART, MINUTES, OTHERS, WORDS, ZERO, TurnColumns


class Turn(NamedTuple):
    """A candidate's place in its conversation, its length, and its own score."""

    conversation_id: str | None
    minute: float
    words: int
    score: float
    by_assistant: bool = False


class Reply(NamedTuple):
    """Which turn a turn replies to, and the share to which that one's terms count."""

    replied_to: int = -1
    share: float = 0.0


def columns(turns: Sequence[Turn]) -> TurnColumns:
    """Return turns as columns."""
    times = [(NOON + timedelta(minutes=turn.minute), NOON) for turn in turns]
    return TurnColumns(
        [turn.conversation_id for turn in turns],
        times,
        np.array([turn.words for turn in turns], np.float64),
        np.array([turn.score for turn in turns], np.float64),
        [turn.by_assistant for turn in turns],
    )


def surroundings(turns: Sequence[Turn]) -> list[float]:
    """Return what the turns around each turn give it."""
    found: list[float] = conversations.surroundings(columns(turns)).tolist()
    return found


def replies(turns: Sequence[Turn]) -> list[Reply]:
    """Return which turn each turn replies to."""
    found = conversations.replies(columns(turns))
    return [Reply(*one) for one in zip(found.replied_to, found.shares.tolist(), strict=True)]


turns = st.lists(
    st.builds(
        Turn,
        st.none() | st.sampled_from(["x", "y"]),
        st.integers(0, 60),
        st.integers(0, 500),
        st.floats(-20, 20),
        st.booleans(),
    ),
    max_size=12,
    unique_by=lambda turn: (turn.conversation_id, turn.minute),
)


def chat(*scores: float, words: int = 0) -> list[Turn]:
    """Return one conversation's turns, a minute apart."""
    return [Turn("chat", minute, words, score) for minute, score in enumerate(scores)]


def given_by(excess: float, minutes: float) -> float:
    """Return what one turn gives another, so many minutes apart."""
    return math.exp(-minutes / MINUTES) * excess / OTHERS


def test_a_turn_gets_from_those_that_match_well_the_more_the_fewer_minutes_they_are_apart() -> None:
    around = surroundings(chat(0.0, 0.0, 10.0, 0.0, 0.0))
    excess = 10.0 - ZERO * 10.0

    assert around == pytest.approx([given_by(excess, minutes) for minutes in (2, 1)] + [0.0] + around[1::-1])
    assert around[1] > around[0] > 0.0


def test_minutes_count_and_not_how_many_turns_are_between() -> None:
    near, far = Turn("chat", 0.5, 0, 0.0), Turn("chat", 30.0, 0, 0.0)

    _, soon, late = surroundings([Turn("chat", 0.0, 0, 10.0), near, far])

    assert soon > 100 * late > 0.0


def test_what_matches_less_than_half_as_well_as_the_best_gives_nothing() -> None:
    best = Turn("elsewhere", 0, 0, 10.0)

    assert surroundings([best, *chat(4.9, 0.0)])[1:] == [0.0, 0.0]
    assert surroundings([best, *chat(6.0, 0.0)])[1:] == pytest.approx([0.0, given_by(1.0, 1)])


def test_only_the_best_three_give() -> None:
    asked = Turn("chat", 0, 0, 0.0)
    givers = [Turn("chat", 1, 0, score) for score in (10.0, 9.0, 8.0)]

    three, more = surroundings([asked, *givers]), surroundings([asked, *givers, Turn("chat", 1, 0, 7.0)])

    assert OTHERS == 3
    assert three[0] == pytest.approx(sum(given_by(score - 5.0, 1) for score in (10.0, 9.0, 8.0)))
    assert more[0] == pytest.approx(three[0])


def test_other_conversations_give_nothing() -> None:
    here, there = chat(3.0, 0.0), [Turn("other", 1, 0, 10.0), Turn("other", 1, 0, 0.0)]

    assert surroundings(here + there)[:2] == [0.0, 0.0]
    assert surroundings(here + there)[3] > 0.0


def test_a_message_without_turns_around_it_gets_a_little_whatever_it_matches() -> None:
    alone = [turn._replace(conversation_id=None) for turn in chat(10.0, 0.0, 9.0)]
    only = Turn("x", 1, 0, 2.0)

    assert surroundings([*alone, only]) == pytest.approx([APART * (1.0 - ZERO) * 10.0] * 4)


def test_no_turns_get_nothing_and_reply_to_nothing() -> None:
    assert surroundings([]) == []
    assert replies([]) == []


def test_who_writes_to_an_assistant_begins_anew_and_its_reply_does_not() -> None:
    dialogue = [turn._replace(by_assistant=place % 2 == 1) for place, turn in enumerate(chat(9.0, 9.0, 0.0, 0.0))]

    assert replies(dialogue) == [Reply(), Reply(0, 1.0), Reply(), Reply(2, 1.0)]


def test_a_turn_replies_to_the_one_before_it_in_its_conversation_the_more_the_shorter_it_is() -> None:
    late, early = chat(0.0, 0.0, words=160)[::-1]
    elsewhere = Turn("other", 0.5, 160, 0.0)

    assert replies([late, elsewhere, early]) == [Reply(2, math.exp(-160 / WORDS)), Reply(), Reply()]
    assert replies(chat(0.0, 0.0, words=10_000))[1].share == pytest.approx(0.0, abs=1e-9)


def test_messages_without_a_conversation_reply_to_nothing() -> None:
    assert replies([turn._replace(conversation_id=None) for turn in chat(9.0, 0.0)]) == [Reply(), Reply()]


@given(turns, st.randoms(use_true_random=False))
def test_the_order_of_the_candidates_does_not_matter(candidates: list[Turn], chance: object) -> None:
    shuffled = sorted(candidates, key=lambda _: chance.random())  # type: ignore[attr-defined] # hypothesis' Random
    expected = dict(zip(candidates, zip(surroundings(candidates), replies(candidates), strict=True), strict=True))

    for turn, around, reply in zip(shuffled, surroundings(shuffled), replies(shuffled), strict=True):
        assert around == pytest.approx(expected[turn][0])
        assert reply.share == pytest.approx(expected[turn][1].share)
        if reply.replied_to >= 0:
            assert shuffled[reply.replied_to] == candidates[expected[turn][1].replied_to]


@given(turns)
def test_no_turn_gets_more_than_the_best_stands_out(candidates: list[Turn]) -> None:
    best = max((turn.score for turn in candidates), default=0.0)

    assert all(0.0 <= around <= max(0.0, (1.0 - ZERO) * best) + 1e-9 for around in surroundings(candidates))


@given(turns, st.lists(st.floats(-20, 0), max_size=30))
def test_candidates_that_do_not_match_change_nothing(candidates: list[Turn], scores: list[float]) -> None:
    unrelated = [Turn("unrelated", 10, 0, score) for score in scores]

    assert surroundings([*candidates, *unrelated])[: len(candidates)] == pytest.approx(surroundings(candidates))
