"""What a turn inherits from the turns around it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memstream.retriever.neighbours import AFTER, BEFORE, Turn, support

turns = st.lists(
    st.builds(
        Turn,
        st.none() | st.sampled_from(["x", "y"]),
        st.tuples(st.sampled_from("123456"), st.sampled_from("abc")),
        st.integers(0, 500),
        st.floats(-20, 20),
    ),
    max_size=12,
    unique_by=lambda turn: (turn.conversation_id, turn.order),
)


def chat(*evidence: float, words: int = 0) -> list[Turn]:
    """Make one conversation's turns, in order."""
    return [Turn("chat", (str(place), ""), words, value) for place, value in enumerate(evidence)]


def test_a_turn_inherits_more_from_what_it_answers_than_from_what_answers_it() -> None:
    # A quarter of the candidates has less evidence than 0, so 0 is what counts as none.
    inherited = support(chat(0.0, 0.0, 10.0, 0.0, 0.0))

    assert inherited == pytest.approx([0.0, AFTER * 10, 0.0, BEFORE * 10, 0.0])


def test_a_long_turn_stands_alone() -> None:
    short, long = support(chat(0.0, 10.0, 0.0, words=3)), support(chat(0.0, 10.0, 0.0, words=3000))

    assert short[2] > 1.0
    assert long[2] == pytest.approx(0.0, abs=1e-6)


def test_turns_of_other_conversations_give_nothing() -> None:
    one, other = Turn("x", ("1", ""), 1, 9.0), Turn("y", ("2", ""), 1, 0.0)

    assert support([one, other]) == [0.0, 0.0]


def test_messages_without_a_conversation_have_no_neighbours() -> None:
    assert support([replace(turn, conversation_id=None) for turn in chat(9.0, 0.0, 9.0)]) == [0.0, 0.0, 0.0]


def test_no_turns_inherit_nothing() -> None:
    assert support([]) == []


@given(turns, st.randoms(use_true_random=False))
def test_the_order_of_the_candidates_does_not_matter(candidates: list[Turn], chance: object) -> None:
    shuffled = sorted(candidates, key=lambda _: chance.random())  # type: ignore[attr-defined] # hypothesis' Random
    expected = dict(zip(candidates, support(candidates), strict=True))

    assert dict(zip(shuffled, support(shuffled), strict=True)) == pytest.approx(expected)


@given(turns)
def test_no_turn_inherits_more_than_its_neighbours_stand_out(candidates: list[Turn]) -> None:
    spread = max((turn.evidence for turn in candidates), default=0.0) - min(
        (turn.evidence for turn in candidates), default=0.0
    )

    assert all(abs(value) <= (BEFORE + AFTER) * spread + 1e-9 for value in support(candidates))
