"""From candidates to ranked messages, and what a score means."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.stored import stored

from memstream.contracts.searches import Mode
from memstream.retriever.asking import read_question
from memstream.retriever.ranking import (
    Calibration,
    LinearModel,
    RankedMessage,
    calibration_of,
    matrix_of_signals,
    probabilities,
    rank,
    shipped_calibrations,
)
from memstream.retriever.ranking.models import linear_model
from memstream.retriever.ranking.scores import (
    ADJUSTMENTS,
    bm25_rarity,
    history_size,
    prior_log_odds,
)
from memstream.vectors.store import Candidates, StoredMessage

PLAIN = Calibration(
    both=linear_model({"intercept": -2, "dense": 4, "keyword": 0.5, "adjacent_turns": 2}, ["dense", "keyword"]),
    dense=linear_model({"intercept": -1, "dense": 4, "adjacent_turns": 2}, ["dense"]),
    keyword=linear_model({"intercept": -1, "keyword": 0.5}, ["keyword"]),
)
DEFAULT = calibration_of("a space that nobody has calibrated")
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
QUESTION = read_question("", NOW)

Signals = Mapping[str, float]

calibrations = st.sampled_from([PLAIN, DEFAULT, *shipped_calibrations().values()])
cosines = st.floats(-1, 1)
scores = st.floats(0, 1000)


class FoundPoint(NamedTuple):
    """A candidate by one score: its point, score and message."""

    id: str
    score: float
    message: StoredMessage


def proposed(dense: list[FoundPoint] | None, keyword: list[FoundPoint] | None) -> Candidates:
    """Return the candidates that two scores proposed."""
    return Candidates(
        {point.id: point.message for point in (*(dense or ()), *(keyword or ()))},
        None if dense is None else {point.id: point.score for point in dense},
        None if keyword is None else {point.id: point.score for point in keyword},
        100,
    )


def found(message: str, score: float, chunk: int = 0) -> FoundPoint:
    """Return a candidate: a chunk of a message."""
    return FoundPoint(f"{message}/{chunk}", score, stored(message, chunk=chunk))


def ranked(
    dense: list[FoundPoint] | None,
    keyword: list[FoundPoint] | None,
    mode: Mode = "hybrid",
    *,
    limit: int = 10,
    min_relevance: float = 0.0,
) -> list[RankedMessage]:
    """Return candidates ranked by the plain calibration."""
    return rank(proposed(dense, keyword), mode, PLAIN, question=QUESTION, limit=limit, min_relevance=min_relevance)


def evidence(model: LinearModel, *signals: Signals) -> list[float]:
    """Return the log odds of candidates by their signals."""
    log_odds: list[float] = model.log_odds(matrix_of_signals(model.features, signals)).tolist()
    return log_odds


def relevance(model: LinearModel, signals: Signals, prior: float = 0.0) -> float:
    """Return the relevance of a candidate by its signals."""
    return float(probabilities(np.array(evidence(model, signals)) + prior)[0])


def model_for(calibration: Calibration, signals: Signals) -> LinearModel:
    """Return the model for the scores at hand."""
    return calibration.model(dense="dense" in signals, keyword="keyword" in signals)


def scored(dense: float | None = None, keyword: float | None = None, chunks: int = 1) -> Signals:
    """Return signals of a candidate that has these scores."""
    known = {"dense": dense, "keyword": keyword, "chunks": float(chunks)}
    return {name: value for name, value in known.items() if value is not None}


def names(hits: list[RankedMessage]) -> list[str]:
    """Return the ids of hits' messages."""
    return [hit.message.message_id for hit in hits]


points = st.lists(
    st.builds(found, st.sampled_from("abcdef"), scores, st.integers(0, 3)),
    max_size=20,
    unique_by=lambda point: point.id,
)


def test_a_message_is_listed_once_by_its_best_chunk() -> None:
    hits = ranked([found("a", 0.2, 0), found("a", 0.9, 1), found("b", 0.5, 0)], None)

    assert [(hit.message.message_id, hit.message.chunk) for hit in hits] == [("a", 1), ("b", 0)]


def test_the_most_relevant_comes_first() -> None:
    assert names(ranked([found("a", 0.1), found("b", 0.9), found("c", 0.5)], None)) == ["b", "c", "a"]


def test_equals_have_one_order_however_they_were_found() -> None:
    candidates = [found("b", 0.5), found("a", 0.5), found("c", 0.5)]

    assert names(ranked(candidates, None)) == names(ranked(candidates[::-1], None)) == ["a", "b", "c"]


def test_both_signals_of_a_message_count_together() -> None:
    (hit,) = ranked([found("a", 0.5)], [found("a", 3.0)])

    assert (hit.signals["dense"], hit.signals["keyword"]) == (0.5, 3.0)
    assert hit.relevance == relevance(PLAIN.both, hit.signals, prior_log_odds(bm25_rarity(1)))


def test_a_message_that_shares_no_word_with_the_question_has_a_keyword_score_of_zero() -> None:
    (hit,) = ranked([found("a", 0.5)], [])

    assert (hit.signals["dense"], hit.signals["keyword"]) == (0.5, 0.0)


@pytest.mark.parametrize(("mode", "first"), [("dense", "a"), ("keyword", "b")])
def test_in_a_mode_of_one_signal_that_one_alone_counts(mode: Mode, first: str) -> None:
    hits = ranked([found("a", 0.9), found("b", 0.1)], [found("a", 1.0), found("b", 9.0)], mode)

    assert names(hits)[0] == first
    assert all({"dense", "keyword"} & set(hit.signals) == {mode} for hit in hits)


def test_what_the_other_signal_found_is_no_hit_in_a_mode_of_one_signal() -> None:
    assert names(ranked([found("a", 0.9)], [found("b", 9.0)], "keyword")) == ["b"]


def test_without_vectors_a_hybrid_question_is_answered_by_keywords() -> None:
    (hit,) = ranked(None, [found("a", 4.0)])

    assert (hit.signals.get("dense"), hit.signals["keyword"]) == (None, 4.0)
    assert hit.relevance == relevance(PLAIN.keyword, hit.signals)


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
    messages = len({point.message.message_id for point in dense + (keyword if mode == "hybrid" else [])})
    prior = prior_log_odds(bm25_rarity(messages)) if mode != "keyword" else 0.0

    for hit in rank(candidates, mode, DEFAULT, question=read_question("Did I go in May?", NOW), limit=10):
        assert hit.relevance == pytest.approx(relevance(model_for(DEFAULT, hit.signals), hit.signals, prior))


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
    signals = scored(dense, keyword, chunks)

    assert 0.0 <= relevance(model_for(calibration, signals), signals) <= 1.0


@given(calibrations, st.tuples(cosines, cosines), st.tuples(scores, scores), chunk_counts)
def test_more_of_a_signal_is_never_less_relevant(
    calibration: Calibration, dense: tuple[float, float], keyword: tuple[float, float], chunks: int
) -> None:
    for has_dense, has_keyword in ((True, True), (True, False), (False, True)):
        less, more = (
            scored(which(dense) if has_dense else None, which(keyword) if has_keyword else None, chunks)
            for which in (min, max)
        )
        one, other = evidence(model_for(calibration, less), less, more)
        assert one <= other


@given(calibrations, cosines, scores, chunk_counts, chunk_counts)
def test_the_same_score_out_of_more_chunks_is_never_more_relevant(
    calibration: Calibration, dense: float, keyword: float, one: int, other: int
) -> None:
    few, many = evidence(calibration.both, *(scored(dense, keyword, chunks) for chunks in sorted((one, other))))

    assert many <= few


@given(cosines, scores)
def test_a_message_of_one_chunk_keeps_its_scores(dense: float, keyword: float) -> None:
    one = np.ones(1)

    assert ADJUSTMENTS["dense"](np.array([dense]), one, 1.0).tolist() == [dense]
    assert ADJUSTMENTS["keyword"](np.array([keyword]), one, 1.0).tolist() == [keyword]


def test_a_messages_number_of_chunks_counts() -> None:
    long = FoundPoint("a/0", 0.5, stored("a", chunks=9))

    assert names(ranked([long, found("b", 0.5)], None)) == ["b", "a"]


def test_signals_are_shown_as_far_as_they_are_known_and_apply() -> None:
    question = read_question("What was in May 2026?", NOW)
    (by_cosine,) = rank(proposed([found("a", 0.0)], None), "dense", PLAIN, question=question, limit=1, filtered=True)
    (by_words,) = rank(
        proposed(None, [FoundPoint("a/0", 2.0, stored("a", chunks=3, occurred_at=datetime(2026, 5, 4, tzinfo=UTC)))]),
        "keyword",
        PLAIN,
        question=question,
        limit=1,
    )

    assert list(by_cosine.signals.items()) == [
        ("dense", 0.0),
        ("chunks", 1.0),
        ("brevity", pytest.approx(math.exp(-0.1))),
    ]
    assert list(by_words.signals.items()) == [
        ("keyword", 2.0),
        ("chunks", 3.0),
        ("brevity", pytest.approx(math.exp(-0.3))),
        ("time", 1.0),
    ]


def test_even_odds_are_one_half_and_log_odds_of_one_are_the_logistics() -> None:
    model = linear_model({"intercept": -1.0, "dense": 2.0}, ["dense"])

    assert relevance(model, {"dense": 0.5}) == 0.5
    assert relevance(model, {"dense": 1.0}) == pytest.approx(1 / (1 + math.exp(-1)))
    assert relevance(model, {}) == pytest.approx(1 / (1 + math.e))


def test_one_of_few_messages_is_likelier_to_be_the_one() -> None:
    few = ranked([found(str(n), 0.5) for n in range(10)], [])
    many = ranked([found(str(n), 0.5) for n in range(100)], [])

    assert few[0].relevance > many[0].relevance


@pytest.mark.parametrize(
    ("points", "messages", "counts_as"), [(99, 99, 99), (99, 7, 7), (100, 100, 150), (190, 12, 150)]
)
def test_a_history_is_short_if_the_cosine_was_given_all_of_it(points: int, messages: int, counts_as: int) -> None:
    assert history_size(messages, points, 100) == counts_as


def test_few_words_in_common_make_no_short_history() -> None:
    dense = [found(f"d{number}", 0.5) for number in range(100)]
    (few, *_), (many, *_) = (
        ranked(dense, [found("d0", 9.0), *(found(f"k{number}", 1.0) for number in range(count))]) for count in (1, 90)
    )

    assert few.message.message_id == many.message.message_id == "d0"
    assert few.relevance == many.relevance
    assert "rarity" not in few.signals


@pytest.mark.parametrize("mode", ["keyword", "hybrid"])
def test_few_messages_that_share_a_word_are_no_short_history(mode: Mode) -> None:
    (alone,) = ranked(None, [found("a", 1.0)], mode)

    assert alone.relevance == relevance(PLAIN.keyword, {**alone.signals, "keyword": 1.0})


def test_what_a_filter_left_is_no_short_history() -> None:
    candidates = proposed([found("a", 0.5)], [found("a", 1.0)])
    (whole,) = rank(candidates, "hybrid", PLAIN, question=QUESTION, limit=1)
    (part,) = rank(candidates, "hybrid", PLAIN, question=QUESTION, limit=1, filtered=True)

    assert (whole.signals["rarity"], part.signals.get("rarity", 1.0)) == (bm25_rarity(1), 1.0)


@given(st.integers(0, 10_000))
def test_a_long_history_is_taken_as_it_is_and_a_short_one_counts_for_more(messages: int) -> None:
    rarity = bm25_rarity(messages)

    assert rarity >= 1.0
    assert prior_log_odds(rarity) >= 0.0
    if messages >= 150:
        assert (prior_log_odds(rarity), rarity) == (0.0, 1.0)


@given(st.integers(5, 150))
def test_the_prior_is_the_logarithm_of_how_much_shorter_a_history_is(messages: int) -> None:
    assert prior_log_odds(bm25_rarity(messages)) == pytest.approx(math.log(150 / messages))


def test_what_a_turns_neighbours_add_counts_and_is_shown() -> None:
    question = FoundPoint("q/0", 0.9, turn("q", "Shall we meet on Friday?", 1))
    answer = FoundPoint("a/0", 0.2, turn("a", "Yes!", 2))
    elsewhere = FoundPoint("b/0", 0.2, turn("b", "Yes!", 1, conversation_id="other"))

    hits = {hit.message.message_id: hit for hit in ranked([question, answer, elsewhere], None)}

    assert hits["a"].relevance > hits["b"].relevance
    assert hits["a"].signals["adjacent_turns"] > 0.0
    assert "adjacent_turns" not in hits["b"].signals


def turn(message: str, text: str, minute: int, **fields: object) -> StoredMessage:
    """Return a turn of a conversation."""
    return stored(message, text, minute, **{"conversation_id": "chat", **fields})


def test_a_space_that_nobody_has_calibrated_gets_the_default_and_says_so() -> None:
    shipped = shipped_calibrations()["all-MiniLM-L6-v2_384_t1"]

    assert calibration_of("never-heard-of_3_t1") == shipped
    assert calibration_of("never-heard-of_3_t1").is_default
    assert not calibration_of("all-MiniLM-L6-v2_384_t1").is_default


def asking(question: str, *messages: StoredMessage) -> dict[str, dict[str, float]]:
    """Return the signals of candidates that are all alike to the question, by their messages' ids."""
    candidates = proposed([FoundPoint(str(place), 0.5, message) for place, message in enumerate(messages)], [])
    hits = rank(candidates, "hybrid", DEFAULT, question=read_question(question, NOW), limit=10)
    return {hit.message.message_id: dict(hit.signals) for hit in hits}


def values(signals: Mapping[str, Signals], name: str) -> dict[str, float]:
    """Return a signal of each message; 0 where it is not shown."""
    return {message: one.get(name, 0.0) for message, one in signals.items()}


def test_what_the_named_one_said_is_lifted() -> None:
    signals = asking("What did Ann bake?", stored("a", "Bread!", speaker="Ann"), stored("b", "Bread!", speaker="Bo"))

    assert values(signals, "speaker") == {"a": 1.0, "b": 0.0}
    assert next(iter(signals)) == "a"


def test_who_asks_about_two_lifts_neither() -> None:
    signals = asking("Did Ann meet Bo?", stored("a", "Yes", speaker="Ann"), stored("b", "Yes", speaker="Bo"))

    assert values(signals, "speaker") == {"a": 0.0, "b": 0.0}


def test_a_question_about_oneself_is_hardly_answered_by_what_an_assistant_said() -> None:
    signals = asking(
        "Where did I park?",
        stored("a", "By the lake"),
        stored("b", "By the lake", role="assistant"),
        stored("c", "By the lake", kind="document"),
    )

    assert values(signals, "not_own") == {"a": 0.0, "b": 1.0, "c": 0.0}
    assert list(signals)[-1] == "b"


def test_what_the_assistant_said_is_lifted_for_who_asks_for_that() -> None:
    signals = asking(
        "Where did you say I parked?", stored("a", "By a lake"), stored("b", "By a lake", role="assistant")
    )

    assert values(signals, "speaker") == {"a": 0.0, "b": 1.0}
    assert values(signals, "not_own") == {"a": 0.0, "b": 0.0}


def days(*kinds: str) -> list[StoredMessage]:
    """Return messages of these kinds that say the same, each a day before the one before it."""
    return [
        stored(name, "A violin", occurred_at=datetime(2026, 1, 9 - place, tzinfo=UTC), kind=kind)
        for place, (name, kind) in enumerate(zip("abc", kinds, strict=True))
    ]


def test_what_is_told_when_it_first_comes_up_is_lifted() -> None:
    signals = asking("Which instrument did I buy?", *days("message", "message", "message"))

    assert values(signals, "early") == {"c": 0.5, "b": 0.0, "a": -0.5}
    assert list(signals) == ["c", "b", "a"]


@pytest.mark.parametrize(
    ("question", "kind"), [("Which instrument do I play?", "message"), ("Which instrument did I buy?", "document")]
)
def test_neither_in_a_question_about_the_present_nor_among_documents_the_first_is_lifted(
    question: str, kind: str
) -> None:
    assert set(values(asking(question, *days(kind, kind, kind)), "early").values()) == {0.0}


def test_a_short_answer_covers_what_it_is_asked() -> None:
    signals = asking("Who plays the violin?", turn("q", "Is it you who plays the violin?", 1), turn("a", "Yes, me!", 2))

    assert signals["a"]["coverage"] > 0.5


def test_what_was_said_at_the_time_is_lifted() -> None:
    signals = asking(
        "What did we eat yesterday?",
        stored("a", "Soup", occurred_at=NOW - timedelta(hours=13)),
        stored("b", "Soup", occurred_at=NOW - timedelta(days=28)),
    )

    assert values(signals, "time") == {"a": 1.0, "b": 0.0}


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
    assert asking(question, stored("a", text))["a"].get("answers", 0.0) == told


def test_words_and_phrases_in_common_count_whatever_their_endings() -> None:
    signals = asking(
        "Who painted the rainbow sidewalk?", stored("a", "A rainbow sidewalk, painting!"), stored("b", "Hi")
    )

    assert values(signals, "phrases") == {"a": 1.0, "b": 0.0}
    assert values(signals, "coverage") == {"a": 1.0, "b": 0.0}


def test_a_few_words_say_little() -> None:
    signals = asking(
        "Who came?", stored("a", "Yes!"), stored("b", "Ann and Bo and all of their friends came by train.")
    )

    assert signals["a"]["brevity"] > signals["b"]["brevity"]
    assert list(signals) == ["b", "a"]
