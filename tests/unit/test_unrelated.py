"""The messages around everyday cases: they are varied, and say nothing about any case."""

from random import Random

import pytest

from benchmarks.quality.everyday import histories, unrelated
from benchmarks.quality.everyday.cases import read_cases
from memstream.retriever.asking.wording import content_words

LANGUAGES = sorted({case.language for case in read_cases()} - {unrelated.ENGLISH})
EVERYWHERE = {"far", "like", "long", "now", "one", "our", "somebody"}
"""Words that say nothing about a subject."""


def test_unrelated_messages_have_no_word_that_a_question_is_about() -> None:
    told = content_words(" ".join(unrelated.sentences(Random(1), 5000)))  # noqa: S311 - a draw, not a secret

    asked = {case.label: content_words(case.ask) & told - EVERYWHERE for case in read_cases()}
    notes, never = histories.read_notes()
    asked |= {ask: content_words(ask) & told - EVERYWHERE for ask in (*(ask for _, ask in notes), *never)}

    assert {label: words for label, words in asked.items() if words} == {}


def test_unrelated_messages_are_as_varied_as_a_years() -> None:
    texts = unrelated.sentences(Random(1), 2000)  # noqa: S311 - a draw, not a secret

    assert len(set(texts)) >= 1600
    lengths = sorted(len(text) for text in texts)
    assert lengths[100] < 30
    assert lengths[-200] > 100


def parts(text: str, language: str) -> set[str]:
    """Return what of a text says something about its subject: longer words, or runs of three characters."""
    if language in {"zh", "ja"}:
        return {text[place : place + 3] for place in range(len(text) - 2)}
    return {word for word in (part.strip(".,;:!?¿¡؟،।") for part in text.lower().split()) if len(word) >= 4}


@pytest.mark.parametrize("language", LANGUAGES)
def test_nor_have_those_in_other_languages(language: str) -> None:
    told = parts(" ".join(unrelated.sentences(Random(1), 4000, language)[::2]), language)  # noqa: S311 - a draw

    asked = {case.label: parts(case.ask, language) & told for case in read_cases() if case.language == language}

    assert asked
    assert {label: words for label, words in asked.items() if words} == {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_where_another_language_is_spoken_half_of_the_unrelated_messages_are_in_it(language: str) -> None:
    texts = unrelated.sentences(Random(1), 200, language)  # noqa: S311 - a draw, not a secret

    assert len(texts) == 200
    assert not any("{" in text for text in texts)
    assert len(set(texts[::2])) >= 20
    assert set(texts[::2]).isdisjoint(texts[1::2])
