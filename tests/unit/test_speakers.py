"""Names of speakers in a question."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memstream.retriever.asking.speakers import may_mention_speaker, mentioned_speakers, strip_speaker_names

SPEAKERS = ("Caroline", "Dr. Anna Lee", "assistant")


@pytest.mark.parametrize(
    ("question", "mentioned"),
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
def test_a_speaker_is_named_by_a_word_of_the_name_spelled_alike(question: str, mentioned: set[str]) -> None:
    assert mentioned_speakers(question, SPEAKERS) == mentioned


@pytest.mark.parametrize(
    ("question", "stripped"),
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
def test_a_question_without_names_keeps_the_rest(question: str, stripped: str) -> None:
    assert strip_speaker_names(question, SPEAKERS) == stripped


@given(st.text(), st.lists(st.text(max_size=12), max_size=4))
def test_something_is_always_left_to_ask(question: str, speakers: list[str]) -> None:
    assert strip_speaker_names(question, speakers).strip() or not question.strip()


@given(st.text(), st.lists(st.text(max_size=12), max_size=4))
def test_without_a_capital_nobody_is_named(question: str, speakers: list[str]) -> None:
    if not may_mention_speaker(question):
        assert not mentioned_speakers(question, speakers)
        assert strip_speaker_names(question, speakers) == question
