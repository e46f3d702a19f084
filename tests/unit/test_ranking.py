"""From candidates to hits, and what a score means."""

import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memstream.contracts.searches import Mode
from memstream.retriever.asking.questions import read_question
from memstream.retriever.ranking.calibrations import CALIBRATIONS, DEFAULT, calibration_of
from memstream.retriever.ranking.ranking import Ranked, rank
from memstream.retriever.ranking.relevance import (
    Calibration,
    Linear,
    Signals,
    history_of,
    prior_among,
    probability,
    rarity_among,
)
from memstream.vectors.questions import Candidates

PLAIN = Calibration(
    both=Linear(-2, dense=4, keyword=0.5, neighbours=2),
    dense=Linear(-1, dense=4, neighbours=2),
    keyword=Linear(-1, keyword=0.5),
)
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
ASKED = read_question("", NOW)

calibrations = st.sampled_from([PLAIN, DEFAULT, *CALIBRATIONS.values()])
cosines = st.floats(-1, 1)
scores = st.floats(0, 1000)


class FoundPoint(NamedTuple):
    """A candidate by one signal: its point, score and payload."""

    id: str
    score: float
    payload: dict[str, object]


def proposed(dense: list[FoundPoint] | None, keyword: list[FoundPoint] | None) -> Candidates:
    """Propose what two signals found."""
    return Candidates(
        {point.id: point.payload for point in (*(dense or ()), *(keyword or ()))},
        None if dense is None else {point.id: point.score for point in dense},
        None if keyword is None else {point.id: point.score for point in keyword},
        100,
    )


def found(message: str, score: float, chunk: int = 0) -> FoundPoint:
    """Make a candidate: a chunk of a message."""
    return FoundPoint(f"{message}/{chunk}", score, {"message_id": message, "chunk": chunk})


def ranked(
    dense: list[FoundPoint] | None,
    keyword: list[FoundPoint] | None,
    mode: Mode = "hybrid",
    *,
    limit: int = 10,
    min_relevance: float = 0.0,
) -> list[Ranked]:
    """Rank candidates by the plain calibration."""
    return rank(proposed(dense, keyword), mode, PLAIN, asked=ASKED, limit=limit, min_relevance=min_relevance)


def names(hits: list[Ranked]) -> list[str]:
    """Name hits by their messages."""
    return [str(hit.payload["message_id"]) for hit in hits]


points = st.lists(
    st.builds(found, st.sampled_from("abcdef"), scores, st.integers(0, 3)),
    max_size=20,
    unique_by=lambda point: point.id,
)


def test_a_message_is_listed_once_by_its_best_chunk() -> None:
    hits = ranked([found("a", 0.2, 0), found("a", 0.9, 1), found("b", 0.5, 0)], None)

    assert [(hit.payload["message_id"], hit.payload["chunk"]) for hit in hits] == [("a", 1), ("b", 0)]


def test_the_most_relevant_comes_first() -> None:
    assert names(ranked([found("a", 0.1), found("b", 0.9), found("c", 0.5)], None)) == ["b", "c", "a"]


def test_equals_have_one_order_however_they_were_found() -> None:
    candidates = [found("b", 0.5), found("a", 0.5), found("c", 0.5)]

    assert names(ranked(candidates, None)) == names(ranked(candidates[::-1], None)) == ["a", "b", "c"]


def test_both_signals_of_a_message_count_together() -> None:
    (hit,) = ranked([found("a", 0.5)], [found("a", 3.0)])

    assert (hit.signals.dense, hit.signals.keyword) == (0.5, 3.0)
    assert hit.relevance == probability(PLAIN.both.evidence(hit.signals) + prior_among(1))


def test_a_message_that_shares_no_word_with_the_question_has_a_keyword_score_of_zero() -> None:
    (hit,) = ranked([found("a", 0.5)], [])

    assert (hit.signals.dense, hit.signals.keyword) == (0.5, 0.0)


@pytest.mark.parametrize(("mode", "first"), [("dense", "a"), ("keyword", "b")])
def test_in_a_mode_of_one_signal_that_one_alone_counts(mode: Mode, first: str) -> None:
    hits = ranked([found("a", 0.9), found("b", 0.1)], [found("a", 1.0), found("b", 9.0)], mode)

    assert names(hits)[0] == first
    assert all({"dense", "keyword"} & set(hit.signals.named()) == {mode} for hit in hits)


def test_what_the_other_signal_found_is_no_hit_in_a_mode_of_one_signal() -> None:
    assert names(ranked([found("a", 0.9)], [found("b", 9.0)], "keyword")) == ["b"]


def test_without_vectors_a_hybrid_question_is_answered_by_keywords() -> None:
    (hit,) = ranked(None, [found("a", 4.0)])

    assert (hit.signals.dense, hit.signals.keyword) == (None, 4.0)
    assert hit.relevance == probability(PLAIN.keyword.evidence(hit.signals))


def test_no_candidates_give_no_hits() -> None:
    assert ranked([], []) == ranked(None, None) == []


@given(points, points, st.sampled_from(["hybrid", "dense", "keyword"]), st.floats(0, 1), st.integers(1, 6))
def test_hits_are_as_many_as_asked_for_relevant_enough_sorted_and_of_different_messages(
    dense: list[FoundPoint], keyword: list[FoundPoint], mode: Mode, min_relevance: float, limit: int
) -> None:
    hits = ranked(dense, keyword, mode, limit=limit, min_relevance=min_relevance)
    everything = ranked(dense, keyword, mode, limit=1000)

    relevances = [hit.relevance for hit in hits]
    assert relevances == sorted(relevances, reverse=True)
    assert len(set(names(hits))) == len(hits) <= limit
    assert hits == [hit for hit in everything if hit.relevance >= min_relevance][:limit]


@given(points, points, st.sampled_from(["hybrid", "dense", "keyword"]))
def test_the_signals_that_are_told_make_the_relevance(
    dense: list[FoundPoint], keyword: list[FoundPoint], mode: Mode
) -> None:
    candidates = proposed(dense, keyword)
    among = len({point.payload["message_id"] for point in dense + (keyword if mode == "hybrid" else [])})
    prior = prior_among(among) if mode != "keyword" else 0.0

    for hit in rank(candidates, mode, DEFAULT, asked=read_question("Did I go in May?", NOW), limit=10):
        assert hit.relevance == pytest.approx(probability(DEFAULT.evidence(hit.signals) + prior))


@given(points, points, st.randoms(use_true_random=False))
def test_the_order_of_the_candidates_does_not_matter(
    dense: list[FoundPoint], keyword: list[FoundPoint], chance: object
) -> None:
    shuffled = sorted(dense, key=lambda _: chance.random())  # type: ignore[attr-defined] # hypothesis' Random
    relevances = [hit.relevance for hit in ranked(dense, keyword)]

    assert names(ranked(shuffled, keyword)) == names(ranked(dense, keyword))
    assert [hit.relevance for hit in ranked(shuffled, keyword)] == relevances


chunk_counts = st.integers(1, 10_000)


@given(calibrations, st.none() | st.floats(-1e300, 1e300), st.none() | st.floats(0, 1e300), chunk_counts)
def test_relevance_is_a_probability_for_any_signal(
    calibration: Calibration, dense: float | None, keyword: float | None, chunks: int
) -> None:
    assert 0.0 <= probability(calibration.evidence(Signals(dense, keyword, chunks))) <= 1.0


@given(calibrations, st.tuples(cosines, cosines), st.tuples(scores, scores), chunk_counts)
def test_more_of_a_signal_is_never_less_relevant(
    calibration: Calibration, dense: tuple[float, float], keyword: tuple[float, float], chunks: int
) -> None:
    less, more = Signals(min(dense), min(keyword), chunks), Signals(max(dense), max(keyword), chunks)

    assert calibration.evidence(less) <= calibration.evidence(more)
    for name in ("dense", "keyword"):
        one, other = (Signals(**{name: getattr(signals, name)}, chunks=chunks) for signals in (less, more))
        assert calibration.evidence(one) <= calibration.evidence(other)


@given(calibrations, cosines, scores, chunk_counts, chunk_counts)
def test_the_same_score_out_of_more_chunks_is_never_more_relevant(
    calibration: Calibration, dense: float, keyword: float, one: int, other: int
) -> None:
    few, many = (Signals(dense, keyword, chunks) for chunks in sorted((one, other)))

    assert calibration.evidence(many) <= calibration.evidence(few)


@given(cosines, scores)
def test_a_message_of_one_chunk_keeps_its_scores(dense: float, keyword: float) -> None:
    signals = Signals(dense, keyword)

    assert (signals.fair_dense, signals.fair_keyword) == (dense, keyword)


def test_a_messages_number_of_chunks_counts() -> None:
    long = FoundPoint("a/0", 0.5, {"message_id": "a", "chunk": 0, "chunks": 9})

    assert names(ranked([long, found("b", 0.5)], None)) == ["b", "a"]


def test_signals_are_named_as_far_as_they_are_known() -> None:
    assert Signals(dense=0.0).named() == {"dense": 0.0, "chunks": 1.0}
    assert Signals(keyword=2.0, chunks=3, time=1.0).named() == {"keyword": 2.0, "chunks": 3.0, "time": 1.0}


def test_even_odds_are_one_half_and_log_odds_of_one_are_the_logistics() -> None:
    line = Linear(-1.0, dense=2.0)

    assert probability(line.evidence(Signals(dense=0.5))) == 0.5
    assert probability(line.evidence(Signals(dense=1.0))) == pytest.approx(1 / (1 + math.exp(-1)))
    assert probability(line.evidence(Signals())) == pytest.approx(1 / (1 + math.e))


def test_one_of_few_messages_is_likelier_to_be_the_one() -> None:
    few = ranked([found(str(n), 0.5) for n in range(10)], [])
    many = ranked([found(str(n), 0.5) for n in range(100)], [])

    assert few[0].relevance > many[0].relevance


@pytest.mark.parametrize(
    ("points", "messages", "counts_as"), [(99, 99, 99), (99, 7, 7), (100, 100, 150), (190, 12, 150)]
)
def test_a_history_is_short_if_the_cosine_was_given_all_of_it(points: int, messages: int, counts_as: int) -> None:
    assert history_of(messages, points, 100) == counts_as


def test_few_words_in_common_make_no_short_history() -> None:
    dense = [found(f"d{number}", 0.5) for number in range(100)]
    (few, *_), (many, *_) = (
        ranked(dense, [found("d0", 9.0), *(found(f"k{number}", 1.0) for number in range(count))]) for count in (1, 90)
    )

    assert few.payload["message_id"] == many.payload["message_id"] == "d0"
    assert (few.relevance, few.signals.rarity) == (many.relevance, 1.0)


@pytest.mark.parametrize("mode", ["keyword", "hybrid"])
def test_few_messages_that_share_a_word_are_no_short_history(mode: Mode) -> None:
    (alone,) = ranked(None, [found("a", 1.0)], mode)

    assert alone.relevance == probability(PLAIN.keyword.evidence(replace(alone.signals, keyword=1.0)))


def test_what_a_filter_left_is_no_short_history() -> None:
    candidates = proposed([found("a", 0.5)], [found("a", 1.0)])
    (whole,) = rank(candidates, "hybrid", PLAIN, asked=ASKED, limit=1)
    (part,) = rank(candidates, "hybrid", PLAIN, asked=ASKED, limit=1, filtered=True)

    assert (whole.signals.rarity, part.signals.rarity) == (rarity_among(1), 1.0)


@given(st.integers(0, 10_000))
def test_a_large_pool_is_taken_as_it_is_and_a_small_one_counts_for_more(candidates: int) -> None:
    assert prior_among(candidates) >= 0.0
    assert rarity_among(candidates) >= 1.0
    if candidates >= 150:
        assert (prior_among(candidates), rarity_among(candidates)) == (0.0, 1.0)


def test_what_a_turn_inherits_counts_and_is_told() -> None:
    answered = FoundPoint("q/0", 0.9, turn("q", "Shall we meet on Friday?", 1))
    answers = FoundPoint("a/0", 0.2, turn("a", "Yes!", 2))
    elsewhere = FoundPoint("b/0", 0.2, turn("b", "Yes!", 1) | {"conversation_id": "other"})

    hits = {hit.payload["message_id"]: hit for hit in ranked([answered, answers, elsewhere], None)}

    assert hits["a"].relevance > hits["b"].relevance
    assert hits["a"].signals.neighbours > hits["b"].signals.neighbours == 0.0


def turn(message: str, text: str, minute: int) -> dict[str, object]:
    """Make the payload of a turn in a conversation."""
    return {
        "message_id": message,
        "chunk": 0,
        "conversation_id": "chat",
        "occurred_at": f"2026-03-02T09:{minute:02}:00+00:00",
        "text": text,
    }


def test_a_space_that_nobody_has_calibrated_gets_the_default() -> None:
    assert calibration_of("never-heard-of_3_t1") is DEFAULT


def asking(question: str, *payloads: dict[str, object]) -> dict[str, Signals]:
    """Ask for candidates that are all alike to the question; give the signals of each."""
    candidates = proposed([FoundPoint(str(place), 0.5, payload) for place, payload in enumerate(payloads)], [])
    hits = rank(candidates, "hybrid", DEFAULT, asked=read_question(question, NOW), limit=10)
    return {str(hit.payload["message_id"]): hit.signals for hit in hits}


def said(message: str, text: str, **fields: object) -> dict[str, object]:
    """Make a payload."""
    return {"message_id": message, "chunk": 0, "text": text, "role": "user", **fields}


def test_what_the_named_one_said_is_lifted() -> None:
    signals = asking("What did Ann bake?", said("a", "Bread!", speaker="Ann"), said("b", "Bread!", speaker="Bo"))

    assert (signals["a"].speaker, signals["b"].speaker) == (1.0, 0.0)
    assert next(iter(signals)) == "a"


def test_who_asks_about_two_lifts_neither() -> None:
    signals = asking("Did Ann meet Bo?", said("a", "Yes", speaker="Ann"), said("b", "Yes", speaker="Bo"))

    assert {one.speaker for one in signals.values()} == {0.0}


def test_a_question_about_oneself_is_hardly_answered_by_what_an_assistant_said() -> None:
    signals = asking(
        "Where did I park?",
        said("a", "By the lake"),
        said("b", "By the lake", role="assistant"),
        said("c", "By the lake", kind="document"),
    )

    assert {name: one.not_own for name, one in signals.items()} == {"a": 0.0, "b": 1.0, "c": 0.0}
    assert list(signals)[-1] == "b"


def test_what_the_assistant_said_is_lifted_for_who_asks_for_that() -> None:
    signals = asking("Where did you say I parked?", said("a", "By a lake"), said("b", "By a lake", role="assistant"))

    assert {name: one.speaker for name, one in signals.items()} == {"a": 0.0, "b": 1.0}
    assert {one.not_own for one in signals.values()} == {0.0}


def days(*documents: str) -> list[dict[str, object]]:
    """Make messages that say the same, day after day."""
    return [
        said(name, "A violin", occurred_at=f"2026-01-0{9 - place}T00:00:00+00:00", kind=kind)
        for place, (name, kind) in enumerate(zip("abc", documents, strict=True))
    ]


def test_what_is_told_when_it_first_comes_up_is_lifted() -> None:
    signals = asking("Which instrument did I buy?", *days("message", "message", "message"))

    assert {name: one.early for name, one in signals.items()} == {"c": 0.5, "b": 0.0, "a": -0.5}
    assert list(signals) == ["c", "b", "a"]


@pytest.mark.parametrize(
    ("question", "kind"), [("Which instrument do I play?", "message"), ("Which instrument did I buy?", "document")]
)
def test_neither_in_a_question_about_the_present_nor_among_documents_the_first_is_lifted(
    question: str, kind: str
) -> None:
    assert {one.early for one in asking(question, *days(kind, kind, kind)).values()} == {0.0}


def test_a_short_answer_covers_what_it_is_asked() -> None:
    signals = asking("Who plays the violin?", turn("q", "Is it you who plays the violin?", 1), turn("a", "Yes, me!", 2))

    assert signals["a"].coverage > 0.5


def test_what_was_said_at_the_time_is_lifted() -> None:
    signals = asking(
        "What did we eat yesterday?",
        said("a", "Soup", occurred_at="2026-03-01T20:00:00+00:00"),
        said("b", "Soup", occurred_at="2026-02-01T20:00:00+00:00"),
        said("c", "Soup", occurred_at="yesterday"),
    )

    assert {name: one.time for name, one in signals.items()} == {"a": 1.0, "b": 0.0, "c": 0.0}


@pytest.mark.parametrize(
    ("question", "text", "told"),
    [
        ("When did we move?", "It was last summer", 1.0),
        ("When did we move?", "To a blue house", 0.0),
        ("How many cats are there?", "I have three", 1.0),
        ("Who moved?", "Bo, in 2021", 0.0),
    ],
)
def test_a_time_or_a_number_answers_who_asks_for_one(question: str, text: str, told: float) -> None:
    assert asking(question, said("a", text))["a"].answers == told


def test_words_and_phrases_in_common_count_whatever_their_endings() -> None:
    signals = asking("Who painted the rainbow sidewalk?", said("a", "A rainbow sidewalk, painting!"), said("b", "Hi"))

    assert (signals["a"].phrases, signals["a"].coverage) == (1.0, 1.0)
    assert (signals["b"].phrases, signals["b"].coverage) == (0.0, 0.0)


def test_a_few_words_say_little() -> None:
    signals = asking("Who came?", said("a", "Yes!"), said("b", "Ann and Bo and all of their friends came by train."))

    assert signals["a"].brevity > signals["b"].brevity
    assert list(signals) == ["b", "a"]
