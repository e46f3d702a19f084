"""Names of speakers in a question."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memstream.retriever.asking.speakers import may_name, named_in, unnamed

SPEAKERS = ("Caroline", "Dr. Anna Lee", "assistant")


@pytest.mark.parametrize(
    ("question", "named"),
    [
        ("What did Caroline paint?", {"Caroline"}),
        ("What is Caroline's job?", {"Caroline"}),
        ("Did Anna call Caroline?", {"Caroline", "Dr. Anna Lee"}),
        ("What did Lee say?", {"Dr. Anna Lee"}),
        ("which carol did the caroline singers sing", set()),
        ("What did the assistant say?", set()),
        ("", set()),
    ],
)
def test_a_speaker_is_named_by_a_word_of_the_name_spelled_alike(question: str, named: set[str]) -> None:
    assert named_in(question, SPEAKERS) == named


@pytest.mark.parametrize(
    ("question", "bare"),
    [
        ("What did Caroline paint?", "What did paint?"),
        ("What is Caroline's job?", "What is job?"),
        ("What is Caroline\u2019s job?", "What is job?"),
        ("Did Anna Lee call?", "Did call?"),
        ("What did Carolines say?", "What did Carolines say?"),
        ("Caroline?", "Caroline?"),
        ("Who  is   it?", "Who  is   it?"),
    ],
)
def test_a_question_without_names_keeps_the_rest(question: str, bare: str) -> None:
    assert unnamed(question, SPEAKERS) == bare


@given(st.text(), st.lists(st.text(max_size=12), max_size=4))
def test_something_is_always_left_to_ask(question: str, speakers: list[str]) -> None:
    assert unnamed(question, speakers).strip() or not question.strip()


@given(st.text(), st.lists(st.text(max_size=12), max_size=4))
def test_without_a_capital_nobody_is_named(question: str, speakers: list[str]) -> None:
    if not may_name(question):
        assert not named_in(question, speakers)
        assert unnamed(question, speakers) == question
