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
        ("Who is it? Anna?", {"Dr. Anna Lee"}),
        ("", set()),
    ],
)
def test_a_speaker_is_named_by_a_word_of_the_name_spelled_alike(question: str, mentioned: set[str]) -> None:
    assert mentioned_speakers(question, SPEAKERS) == mentioned


@pytest.mark.parametrize(
    ("question", "speaker"),
    [
        ("What does Zoe keep?", "Zoë"),
        ("What does Renée mend?", "Renee"),
        ("小红喜欢什么？", "小红"),
        ("花子は何をしますか", "花子"),
        ("मीना क्या करती है?", "मीना"),
        ("유나는 어디에 살아?", "유나"),
    ],
)
def test_a_name_matches_without_accents_and_in_scripts_without_capitals(question: str, speaker: str) -> None:
    assert may_mention_speaker(question)
    assert mentioned_speakers(question, [speaker, "Bo", "小明", "राज"]) == {speaker}


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
        ("Anna's job. Is it Caroline's?", "job. Is it ?"),
    ],
)
def test_a_question_without_names_keeps_the_rest(question: str, stripped: str) -> None:
    assert strip_speaker_names(question, SPEAKERS) == stripped


@pytest.mark.parametrize(
    "question",
    [
        "What did I say about the lamp?",
        "where is the lamp",
        "When's the next appointment?",
        "Tell me about the lamp. Where is it? Is it on?",
        "\u201cHow long is it?\u201d",
        "What happened on Tuesday the 7th of December?",
        "I'm late. I'll call.",
        "",
    ],
)
def test_the_first_word_of_a_question_is_no_name_nor_is_a_date(question: str) -> None:
    assert not may_mention_speaker(question)


@pytest.mark.parametrize(
    ("question", "speaker"),
    [
        ("Caroline painted what?", "Caroline"),
        ("What did May bake in May?", "May"),
        ("Did I see June?", "June"),
        ("what did An say", "An"),
        ("Where was it? Bo knows.", "Bo"),
        (
            "\u0427\u0442\u043e \u0441\u043a\u0430\u0437\u0430\u043b\u0430 \u0410\u043d\u043d\u0430?",
            "\u0410\u043d\u043d\u0430",
        ),
    ],
)
def test_a_capitalised_word_elsewhere_may_be_a_name(question: str, speaker: str) -> None:
    assert may_mention_speaker(question)
    assert mentioned_speakers(question, [speaker]) == {speaker}
    assert speaker not in strip_speaker_names(question, [speaker])


def test_a_first_word_stays_though_a_speaker_has_that_name() -> None:
    assert strip_speaker_names("Will it rain when Will comes?", ["Will"]) == "Will it rain when comes?"
    assert not mentioned_speakers("Will it rain?", ["Will"])


@given(st.text(), st.lists(st.text(max_size=12), max_size=4))
def test_something_is_always_left_to_ask(question: str, speakers: list[str]) -> None:
    assert strip_speaker_names(question, speakers).strip() or not question.strip()


@given(st.text(), st.lists(st.text(max_size=12), max_size=4))
def test_without_a_capital_nobody_is_named(question: str, speakers: list[str]) -> None:
    if not may_mention_speaker(question):
        assert not mentioned_speakers(question, speakers)
        assert strip_speaker_names(question, speakers) == question
