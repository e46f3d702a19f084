"""How many of a question's terms each candidate contains, whole or in part."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memstream.retriever.asking import spaced_words, stems
from memstream.retriever.ranking.coverage import exact_matches, partial_matches

WORDS = ("lake", "boat", "rain", "bread", "violin")
words = st.sampled_from(WORDS)
questions = st.lists(words, unique=True, max_size=5)
texts = st.lists(st.lists(words, max_size=6).map(lambda said: spaced_words(" ".join(said))), max_size=8)


def coverage(terms: list[str], said: list[str], replies: list[tuple[int, int, float]] | None = None) -> list[float]:
    """Return the share of the terms in each text."""
    found: list[float] = exact_matches(stems(terms), said).coverage_with_replies(replies or []).tolist()
    return found


def partial_coverage(terms: list[str], *said: str) -> list[float]:
    """Return how much of the terms is in each text."""
    found: list[float] = partial_matches(terms, [spaced_words(text) for text in said]).coverage.tolist()
    return found


@given(questions, texts, st.data())
def test_it_is_a_share_and_words_of_the_turn_before_only_add_to_it(
    question: list[str], said: list[str], data: st.DataObject
) -> None:
    places = st.integers(0, len(said) - 1)
    pairs = (
        st.lists(st.tuples(places, places, st.floats(0, 1)), unique_by=lambda pair: pair[0]) if said else st.just([])
    )

    alone = coverage(question, said)
    answering = coverage(question, said, data.draw(pairs))

    assert len(alone) == len(said)
    assert all(0.0 <= one <= other + 1e-9 <= 1.0 + 2e-9 for one, other in zip(alone, answering, strict=True))


@given(questions, texts)
def test_partial_coverage_is_a_share_that_is_the_whole_where_all_terms_are(
    question: list[str], said: list[str]
) -> None:
    found = partial_coverage(question, *said, " ".join(question))

    assert all(0.0 <= one <= 1.0 + 1e-9 for one in found)
    assert found[-1] == pytest.approx(1.0 if question else 0.0)


@given(questions.filter(bool), texts)
def test_who_says_all_of_it_has_the_whole_and_who_says_nothing_none(question: list[str], said: list[str]) -> None:
    whole, nothing = spaced_words(" ".join(question)), spaced_words("hm")

    found = coverage(question, [*said, whole, nothing])

    assert found[-2] == pytest.approx(1.0)
    assert found[-1] == partial_coverage(question, *said, "hm")[-1] == 0.0


def test_a_word_that_few_say_counts_for_more_than_one_that_all_say() -> None:
    common, rare, _ = coverage(["lake", "violin"], [" the lake ", " a violin ", " lake and lake "])

    assert rare > common > 0.0


def test_what_nobody_says_is_lacking_everywhere() -> None:
    (found,) = coverage(["lake", "violin"], [" the lake "])

    assert found == pytest.approx(0.5)


@given(questions, texts, st.integers(1, 80))
def test_texts_that_share_nothing_with_the_question_change_nothing(
    question: list[str], said: list[str], others: int
) -> None:
    alone, among = coverage(question, said), coverage(question, [*said, *([" hm "] * others)])

    assert among[: len(said)] == pytest.approx(alone)
    assert partial_coverage(question, *said, *(["hm"] * others))[: len(said)] == pytest.approx(
        partial_coverage(question, *said)
    )


def test_to_a_short_turn_the_words_of_the_one_it_answers_count() -> None:
    said = [" did you play the violin ", " yes in may ", " yes in may "]

    asked, answer, elsewhere = coverage(["violin", "may"], said, [(1, 0, 0.9)])

    assert answer > asked
    assert answer > elsewhere


@pytest.mark.parametrize(
    ("term", "text"),
    [
        ("appointment", "My appointments are on Mondays."),
        ("skating", "We skated all day."),
        ("passport", "I lost my pasport!"),
        ("recipe", "A family recpie."),
        ("schlussel", "Der Ersatzschlüssel hängt im Flur."),
        ("zahnarzt", "Der Zahnarzttermin ist am Montag."),
        ("ключ", "У меня нет ключа."),
    ],
)
def test_other_endings_typos_and_compounds_count_in_part(term: str, text: str) -> None:
    part, whole, nothing = partial_coverage([term], text, f"a {term} b", "Fog, we think.")

    assert 0.0 == nothing < part < whole == 1.0


def test_the_more_of_a_term_is_there_the_more_counts_and_half_of_it_less_than_half() -> None:
    shares = partial_coverage(["photographer"], "photo", "photograph", "photographer")

    assert shares == sorted(shares)
    assert partial_coverage(["photographer"], "photogr")[0] < 0.5


def test_a_term_of_a_letter_or_two_is_there_or_not() -> None:
    assert partial_coverage(["42"], "gate 42", "gate 421", "gate 7") == [1.0, 0.0, 0.0]
