"""What the wording of questions and messages says."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memstream.retriever.asking.wording import read_wording, spaced_words

ascii_texts = st.text(st.characters(max_codepoint=127))


@given(ascii_texts | st.text())
def test_words_are_spaced_by_one_blank_whatever_stood_between_them(text: str) -> None:
    words = " ".join(re.findall(r"\w+", text.lower()))

    assert spaced_words(text.lower()) == f" {words} "


@given(ascii_texts | st.text())
def test_a_text_that_says_the_question_says_all_of_it(text: str) -> None:
    wording = read_wording(text)
    spaced = spaced_words(text.lower())

    assert all(phrase in spaced for phrase in wording.phrases)


def test_words_of_asking_are_none_of_what_is_told() -> None:
    assert read_wording("How many different lakes did I mention across my conversations?").terms == ("lakes",)


@pytest.mark.parametrize(
    ("question", "is_first_person", "asks_assistant"),
    [
        ("How did you recommend planning my week?", False, True),
        ("What have you suggested for my garden?", False, True),
        ("What would you suggest for my garden?", True, False),
        ("Where did I park?", True, False),
        ("Where did Ann park?", False, False),
    ],
)
def test_who_asks_what_the_assistant_said_does_not_ask_about_themself(
    question: str, *, is_first_person: bool, asks_assistant: bool
) -> None:
    wording = read_wording(question)

    assert (wording.is_first_person, wording.asks_assistant) == (is_first_person, asks_assistant)


@pytest.mark.parametrize(
    ("question", "is_present"),
    [
        ("How many books are on my shelf?", True),
        ("What is my current address?", True),
        ("Have I ever baked bread?", True),
        ("Where did I park?", False),
        ("What is the name of the dog I had before?", False),
        ("Names of my cousins", False),
    ],
)
def test_a_question_about_the_present_is_told_from_one_about_the_past(question: str, *, is_present: bool) -> None:
    assert read_wording(question).is_present == is_present
