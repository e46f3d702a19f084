"""What an unrelated candidate more changes of a ranking: nothing that anybody would notice."""

from dataclasses import replace
from datetime import UTC, datetime
from random import Random
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st
from unit.stored import stored

from memstream.retriever.asking import Question, content_words, read_question
from memstream.retriever.ranking import calibration_of, rank, shipped_spaces
from memstream.vectors.store import Candidates, StoredMessage

PROPOSED = 100
"""Chunks that each score proposes."""
LOOKED_AT = 0.01
"""The relevance of hits whose order anybody might notice."""
NOW = datetime(2026, 3, 9, tzinfo=UTC)
QUESTIONS = (
    "What did Ann bake for the fair?",
    "ferry booking code",
    "Where did I put my passport yesterday?",
    "When does Bo's sister teach chemistry?",
)
TEXTS = (
    "I baked a plum cake for the fair.",
    "The ferry booking code is QX7-PLM.",
    "The hotel booking code is HB-2291.",
    "My passport is in the blue folder.",
    "My sister teaches chemistry on Mondays at ten.",
    "Yes, last Friday!",
    "Will you bake again for the next fair?",
    "It rained all evening, and then it stopped.",
    "The crossword took me three cups of cocoa.",
)
UNRELATED = (
    "Pigeons sat along our gutter.",
    "Fog, thick fog.",
    "Somebody swept these stairs, quite a sight, honestly.",
)

spaces = st.sampled_from(shipped_spaces())


class Found(NamedTuple):
    """A question, its candidates, and one that is unrelated."""

    question: Question
    candidates: Candidates
    more: StoredMessage
    dense: float
    """Of the unrelated one: the lowest cosine of all."""


def shares_a_word(question: str, text: str) -> bool:
    """Return whether BM25 would give the text a score."""
    return not content_words(question).isdisjoint(content_words(text))


@st.composite
def found(draw: st.DrawFn) -> Found:
    """Draw a question and candidates as a store proposes them: by the cosine all, by BM25 those that share a word."""
    question = draw(st.sampled_from(QUESTIONS))
    size = draw(st.sampled_from([1, 2, 3, 5, 20, 98, PROPOSED - 1]))
    rng = Random(draw(st.integers(0, 2**32)))  # noqa: S311 - drawn by hypothesis
    messages: dict[str, StoredMessage] = {}
    dense: dict[str, float] = {}
    keyword: dict[str, float] = {}
    for place in range(size):
        point, text = f"point-{place}", rng.choice(TEXTS)
        conversation, speaker = rng.choice((None, "one", "two")), rng.choice((None, "Ann", "Bo"))
        messages[point] = stored(
            f"message-{place}", text, rng.randrange(10_000), conversation_id=conversation, speaker=speaker
        )
        related = shares_a_word(question, text)
        dense[point] = rng.uniform(0.25, 0.85) if related else rng.uniform(0.0, 0.35)
        if related:
            keyword[point] = rng.uniform(0.5, 15.0)
    more = stored(
        "more",
        draw(st.sampled_from(UNRELATED)),
        draw(st.integers(-10_000, 20_000)),
        conversation_id=draw(st.sampled_from([None, "elsewhere"])),
        speaker=draw(st.sampled_from([None, "Cy"])),
    )
    lowest = min(min(dense.values()) - 0.001, draw(st.floats(-0.1, 0.2)))
    return Found(read_question(question, NOW), Candidates(messages, dense, keyword, PROPOSED), more, lowest)


def with_one_more(one: Found) -> Candidates:
    """Return the candidates with the unrelated one."""
    candidates = one.candidates
    return replace(
        candidates,
        messages={**candidates.messages, "more": one.more},
        dense={**(candidates.dense or {}), "more": one.dense},
    )


def ranked(question: Question, candidates: Candidates, space: str) -> dict[str, float]:
    """Return the relevances of all messages but the unrelated one, in their order."""
    hits = rank(candidates, "hybrid", calibration_of(space), question=question, limit=2 * PROPOSED)
    return {hit.message.message_id: hit.relevance for hit in hits if hit.message.message_id != "more"}


both = given(found(), spaces)


@both
def test_an_unrelated_candidate_more_leaves_the_order_of_the_others(one: Found, space: str) -> None:
    before, after = ranked(one.question, one.candidates, space), ranked(one.question, with_one_more(one), space)

    order = [name for name, relevance in before.items() if relevance >= LOOKED_AT]
    assert [name for name in after if name in order] == order


@both
def test_an_unrelated_candidate_more_hardly_changes_a_relevance(one: Found, space: str) -> None:
    before, after = ranked(one.question, one.candidates, space), ranked(one.question, with_one_more(one), space)

    changed = {name: (value, after[name]) for name, value in before.items() if abs(value - after[name]) >= 0.05}
    assert changed == {}
