"""Names in a question: capitalised words that do not begin a sentence."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memstream.retriever.asking import may_mention_speaker, read_question
from memstream.retriever.asking.names import names_in
from memstream.vectors.segmentation import fold

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("question", "names"),
    [
        ("What did Ann bake for Bo?", ("ann", "bo")),
        ("Where is Ann Lee's garden?", ("ann", "lee")),
        ("Did Ann ask Ann?", ("ann",)),
        ("Who knows Zoë?", ("zoe",)),
        ("what did ann bake?", ()),
    ],
)
def test_capitalised_words_are_names_in_lower_case_each_once(question: str, names: tuple[str, ...]) -> None:
    assert names_in(question, "en") == names


@pytest.mark.parametrize(
    "question",
    [
        "Where is it? When was that? Who?",
        "I forgot. Where was it?",
        "One thing: Where was it?",
        "Well\u2026 Where was it?",
        '"Yes!" Where was it?',
        "(Where was it?)",
    ],
)
def test_words_that_begin_a_sentence_are_none(question: str) -> None:
    assert names_in(question, "en") == ()


def test_a_name_is_one_at_the_next_place_where_it_begins_no_sentence() -> None:
    assert names_in("Ann baked. What did Ann bake?", "en") == ("ann",)


@pytest.mark.parametrize("question", ["What did we do in May?", "Was it on Friday?", "Did I go when I'm A or B?"])
def test_months_days_and_single_letters_are_none(question: str) -> None:
    assert names_in(question, "en") == ()


def test_in_german_all_nouns_are_capitalised_so_none_is_a_name() -> None:
    assert names_in("Wo ist der Schlüssel von Anna?", "de") == ()


def test_in_other_languages_that_have_capitals_there_are_names() -> None:
    assert names_in("Où est la clé de Théo ?", "fr") == ("theo",)
    assert names_in("小明有多少只猫？", "zh") == ()


@given(st.text(), st.sampled_from(["en", "de", "es"]))
def test_names_of_any_text_are_words_of_it_each_once(text: str, language: str) -> None:
    names = names_in(text, language)

    assert len(set(names)) == len(names)
    assert {fold(word.lower()) for word in re.findall(r"\w+", text)}.issuperset(names)


def test_a_question_of_nothing_but_dots_or_names_is_read_in_time_that_grows_with_it() -> None:
    # By time that grows with the square these would take minutes.
    assert names_in("." * 65_536, "en") == ()
    assert not may_mention_speaker("." * 65_536)
    assert len(names_in(" ".join(f"Ab{number}" for number in range(9_000)), "en")) == 32


def test_the_words_at_the_beginning_of_a_long_question_are_read() -> None:
    question = read_question(f"Where is the kettle? {'Hm. ' * 1_000} And where does Ann keep it?", NOW)

    assert "kettle" in question.wording.terms
    assert question.names == ()
