"""How many of a question's terms each candidate contains."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memstream.retriever.asking import spaced_words, stems
from memstream.retriever.ranking.coverage import term_coverage

words = st.sampled_from(["lake", "boat", "rain", "bread", "violin"])
questions = st.lists(words, unique=True, max_size=5)
texts = st.lists(st.lists(words, max_size=6).map(lambda said: spaced_words(" ".join(said))), max_size=8)


@given(questions, texts, st.data())
def test_it_is_a_share_and_words_of_the_turn_before_only_add_to_it(
    question: list[str], said: list[str], data: st.DataObject
) -> None:
    terms = stems(question)
    places = st.integers(0, len(said) - 1)
    pairs = (
        st.lists(st.tuples(places, places, st.floats(0, 1)), unique_by=lambda pair: pair[0]) if said else st.just([])
    )

    alone = term_coverage(terms, said)
    answering = term_coverage(terms, said, data.draw(pairs))

    assert len(alone) == len(said)
    assert all(0.0 <= one <= other + 1e-9 <= 1.0 + 2e-9 for one, other in zip(alone, answering, strict=True))


@given(questions.filter(bool), texts)
def test_who_says_all_of_it_has_the_whole_and_who_says_nothing_none(question: list[str], said: list[str]) -> None:
    whole, nothing = spaced_words(" ".join(question)), spaced_words("hm")

    found = term_coverage(stems(question), [*said, whole, nothing])

    assert found[-2] == pytest.approx(1.0)
    assert found[-1] == 0.0


def test_a_word_that_few_say_counts_for_more_than_one_that_all_say() -> None:
    common, rare, _ = term_coverage([" lake", " violin"], [" the lake ", " a violin ", " lake and lake "])

    assert rare > common > 0.0


def test_what_nobody_says_is_lacking_everywhere() -> None:
    (found,) = term_coverage([" lake", " violin"], [" the lake "])

    assert found == pytest.approx(0.5)


def test_to_a_short_turn_the_words_of_the_one_it_answers_count() -> None:
    said = [" did you play the violin ", " yes in may ", " yes in may "]

    asked, answer, elsewhere = term_coverage([" violin", " may"], said, [(1, 0, 0.9)])

    assert answer > asked
    assert answer > elsewhere
