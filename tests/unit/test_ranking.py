"""From candidates to ranked messages, and what a relevance says."""

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.stored import stored

from memstream.contracts.searches import Mode
from memstream.retriever.asking import Question, read_question
from memstream.retriever.ranking import (
    DOUBTS,
    Calibration,
    CosineScale,
    RankedMessage,
    RankingModel,
    calibration_of,
    matrix_of_signals,
    rank,
    unfitted,
)
from memstream.retriever.ranking.columns import MAX_ANALYSED
from memstream.retriever.ranking.models import BACKGROUND, BEHIND, INTERCEPT
from memstream.retriever.ranking.scores import ADJUSTMENTS, Floats
from memstream.vectors.store import Candidates, StoredMessage

SCALE = CosineScale(0.1, 0.5)
RELEVANCE = {INTERCEPT: -1.0, BEHIND: 0.9, BACKGROUND: -1.0, "lead": 0.4, "first_cosine": 0.5}


def plain(surroundings: float) -> Calibration:
    """Return a calibration that is easy to read: the scores and what was said around a message count."""
    order = {"dense": 2.0, "keyword": 0.3, "surroundings": surroundings}
    relevance = RELEVANCE | dict.fromkeys((doubt.name for doubt in DOUBTS), -1.0)

    def model(given: RankingModel) -> RankingModel:
        return replace(
            given,
            order={name: order.get(name, 0.0) for name in given.order},
            relevance=dict.fromkeys(given.relevance, 0.0) | relevance,
        )

    scores_alone = unfitted(SCALE)
    return replace(
        scores_alone,
        both=model(scores_alone.both),
        dense=model(scores_alone.dense),
        keyword=model(scores_alone.keyword),
    )


PLAIN = plain(surroundings=2.0)
SCORES_ALONE = plain(surroundings=0.0)
DEFAULT = calibration_of("a space that nobody has measured")
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
QUESTION = read_question("", NOW)

Signals = Mapping[str, float]

calibrations = st.sampled_from([PLAIN, DEFAULT])
cosines = st.floats(-1, 1)
scores = st.floats(0, 1000)
modes = st.sampled_from(["hybrid", "dense", "keyword"])


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


def ranked(  # noqa: PLR0913 - what a question asks for, by name
    dense: list[FoundPoint] | None,
    keyword: list[FoundPoint] | None,
    mode: Mode = "hybrid",
    *,
    limit: int = 10,
    min_relevance: float = 0.0,
    calibration: Calibration = PLAIN,
    question: Question = QUESTION,
) -> list[RankedMessage]:
    """Return candidates ranked by the plain calibration."""
    return rank(
        proposed(dense, keyword), mode, calibration, question=question, limit=limit, min_relevance=min_relevance
    )


def model_for(calibration: Calibration, signals: Signals) -> RankingModel:
    """Return the model for the scores at hand."""
    return calibration.model(dense="dense" in signals, keyword="keyword" in signals)


def matrix(model: RankingModel, signals: list[Signals]) -> Floats:
    """Return the design matrix of candidates by their signals."""
    return matrix_of_signals(model.features, signals, SCALE)


def order_scores(model: RankingModel, *signals: Signals) -> list[float]:
    """Return the order scores of candidates by their signals."""
    order: list[float] = model.order_scores(matrix(model, list(signals))).tolist()
    return order


def relevances(calibration: Calibration, hits: list[RankedMessage]) -> list[float]:
    """Return the relevances of hits by the signals that they show."""
    if not hits:
        return []
    model = model_for(calibration, hits[0].signals)
    signals = [hit.signals for hit in hits]
    made: list[float] = model.relevances(matrix_of_signals(model.features, signals, calibration.scale)).tolist()
    return made


def scored(dense: float | None = None, keyword: float | None = None, chunks: int = 1) -> Signals:
    """Return signals of a candidate that has these scores."""
    known = {"dense": dense, "keyword": keyword, "chunks": float(chunks)}
    return {name: value for name, value in known.items() if value is not None}


def names(hits: list[RankedMessage]) -> list[str]:
    """Return the ids of hits' messages."""
    return [hit.message.message_id for hit in hits]


def by_name(hits: list[RankedMessage]) -> dict[str, float]:
    """Return the relevances of hits by their messages' ids."""
    return {hit.message.message_id: hit.relevance for hit in hits}


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
    assert [hit.relevance] == pytest.approx(relevances(PLAIN, [hit]))


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
    assert [hit.relevance] == pytest.approx(relevances(PLAIN, [hit]))


def test_no_candidates_give_no_hits() -> None:
    assert ranked([], []) == ranked(None, None) == []


@given(points, points, modes, st.floats(0, 1), st.integers(1, 6))
def test_hits_are_as_many_as_asked_for_relevant_enough_sorted_and_of_different_messages(
    dense: list[FoundPoint], keyword: list[FoundPoint], mode: Mode, min_relevance: float, limit: int
) -> None:
    hits = ranked(dense, keyword, mode, limit=limit, min_relevance=min_relevance)
    everything = ranked(dense, keyword, mode, limit=1000)

    relevances = [hit.relevance for hit in hits]
    assert relevances == sorted(relevances, reverse=True)
    assert len(set(names(hits))) == len(hits) <= limit
    assert hits == [hit for hit in everything if hit.relevance >= min_relevance][:limit]


@given(points, points, modes, calibrations)
def test_the_signals_that_are_told_make_the_relevance_and_never_contradict_the_order(
    dense: list[FoundPoint], keyword: list[FoundPoint], mode: Mode, calibration: Calibration
) -> None:
    question = read_question("Did I go to Oz in May?", NOW)
    hits = ranked(dense, keyword, mode, limit=100, calibration=calibration, question=question)

    assert [hit.relevance for hit in hits] == pytest.approx(relevances(calibration, hits))
    for one, other in pairwise(hits):
        before, after = order_scores(model_for(calibration, one.signals), one.signals, other.signals)
        assert before >= after - 1e-9 or one.relevance == other.relevance


@given(points, points, modes, calibrations, st.integers(1, 6))
def test_a_limit_changes_no_relevance(
    dense: list[FoundPoint], keyword: list[FoundPoint], mode: Mode, calibration: Calibration, limit: int
) -> None:
    hits = ranked(dense, keyword, mode, limit=limit, calibration=calibration)

    assert hits == ranked(dense, keyword, mode, limit=1000, calibration=calibration)[:limit]


@given(points, points, st.randoms(use_true_random=False))
def test_the_order_of_the_candidates_does_not_matter(
    dense: list[FoundPoint], keyword: list[FoundPoint], chance: object
) -> None:
    shuffled = sorted(dense, key=lambda _: chance.random())  # type: ignore[attr-defined] # hypothesis' Random
    relevances = [hit.relevance for hit in ranked(dense, keyword)]

    assert names(ranked(shuffled, keyword)) == names(ranked(dense, keyword))
    assert [hit.relevance for hit in ranked(shuffled, keyword)] == relevances


chunk_counts = st.integers(1, 10_000)


@given(calibrations, st.lists(st.tuples(cosines, st.floats(0, 1e6), chunk_counts), min_size=1, max_size=30))
def test_relevance_is_a_probability_for_any_signal(
    calibration: Calibration, candidates: list[tuple[float, float, int]]
) -> None:
    for has_dense, has_keyword in ((True, True), (True, False), (False, True)):
        signals = [
            scored(dense if has_dense else None, keyword if has_keyword else None, chunks)
            for dense, keyword, chunks in candidates
        ]
        model = model_for(calibration, signals[0])
        assert all(0.0 <= one <= 1.0 for one in model.relevances(matrix(model, signals)))


@given(calibrations, st.tuples(cosines, cosines), st.tuples(scores, scores), chunk_counts)
def test_more_of_a_score_never_ranks_lower(
    calibration: Calibration, dense: tuple[float, float], keyword: tuple[float, float], chunks: int
) -> None:
    for has_dense, has_keyword in ((True, True), (True, False), (False, True)):
        less, more = (
            scored(which(dense) if has_dense else None, which(keyword) if has_keyword else None, chunks)
            for which in (min, max)
        )
        one, other = order_scores(model_for(calibration, less), less, more)
        assert one <= other


@given(calibrations, cosines, scores, chunk_counts, chunk_counts)
def test_the_same_score_out_of_more_chunks_never_ranks_higher(
    calibration: Calibration, dense: float, keyword: float, one: int, other: int
) -> None:
    few, many = order_scores(calibration.both, *(scored(dense, keyword, chunks) for chunks in sorted((one, other))))

    assert many <= few


@given(cosines, scores)
def test_a_message_of_one_chunk_keeps_its_scores(dense: float, keyword: float) -> None:
    one = np.ones(1)

    assert ADJUSTMENTS["dense"](np.array([dense]), one, SCALE).tolist() == [pytest.approx((dense - 0.1) / 0.4)]
    assert ADJUSTMENTS["keyword"](np.array([keyword]), one, SCALE).tolist() == [keyword]


def test_a_messages_number_of_chunks_counts() -> None:
    long = FoundPoint("a/0", 0.5, stored("a", chunks=9))

    assert names(ranked([long, found("b", 0.5)], None)) == ["b", "a"]


def test_signals_are_shown_as_far_as_they_are_known_and_apply() -> None:
    question = read_question("What was in May 2026?", NOW)
    (by_cosine,) = rank(proposed([found("a", 0.0)], None), "dense", PLAIN, question=question, limit=1)
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
        ("unknown_terms", pytest.approx(1.2)),
        ("other_time", 1.0),
    ]
    assert list(by_words.signals.items()) == [
        ("keyword", 2.0),
        ("chunks", 3.0),
        ("surroundings", pytest.approx(0.1 * 0.5 * 0.1 * 2.0 / (1 + 0.2 * math.log(3)))),
        ("time", 1.0),
        ("unknown_terms", pytest.approx(1.2)),
    ]


def test_the_first_ones_relevance_is_the_logistic_of_what_the_best_hits_say_and_others_are_behind() -> None:
    first, second = ranked([found("a", 0.5), found("b", 0.3)], None, calibration=SCORES_ALONE)
    # On the scale 1.0 and 0.5; order scores 2.0 and 1.0, and -1.0 for each of the 18 hits that there are not.
    lead = -math.log(1.0 + math.exp(-0.5) + 18 * math.exp(-1.5)) / 0.5
    log_odds = -1.0 + 0.4 * lead + 0.5 * 1.0

    assert first.relevance == pytest.approx(1.0 / (1.0 + math.exp(-log_odds)))
    assert second.relevance == pytest.approx(1.0 / (1.0 + math.exp(-(log_odds - 0.9 * 1.0))))


def test_what_stands_out_from_the_others_is_likelier_to_be_the_one() -> None:
    others = [found(f"other-{n}", 0.2) for n in range(30)]
    near = [found(f"other-{n}", 0.48) for n in range(30)]

    assert ranked([found("a", 0.5), *others], None)[0].relevance > ranked([found("a", 0.5), *near], None)[0].relevance


def test_what_a_message_is_asked_among_is_as_if_the_history_went_on_with_what_is_unrelated() -> None:
    background = (RELEVANCE[BACKGROUND] / 2.0) * (SCALE.answering - SCALE.unrelated) + SCALE.unrelated
    unrelated = [found(f"unrelated-{n:02}", background) for n in range(40)]

    alone, among = (ranked([found("a", 0.6), *others], None, calibration=SCORES_ALONE) for others in ([], unrelated))

    assert among[0].relevance == pytest.approx(alone[0].relevance)


@pytest.mark.parametrize("mode", ["hybrid", "dense", "keyword"])
def test_candidates_behind_the_best_twenty_change_nothing(mode: Mode) -> None:
    best = [found(f"a-{n:02}", 0.9 - n / 100) for n in range(20)]
    more = [found(f"b-{n:02}", 0.1 - n / 1000) for n in range(60)]

    hits, among = ranked(best, best, mode, limit=20), ranked([*best, *more], [*best, *more], mode, limit=20)

    assert by_name(among) == pytest.approx(by_name(hits))


def test_what_was_said_around_a_turn_counts_and_is_shown() -> None:
    question = FoundPoint("q/0", 0.9, turn("q", "Shall we meet on Friday?", 1))
    answer = FoundPoint("a/0", 0.2, turn("a", "Yes!", 2))
    elsewhere = FoundPoint("b/0", 0.2, turn("b", "Sure!", 1, conversation_id="other"))
    later = FoundPoint("c/0", 0.2, turn("c", "No!", 300))

    hits = {hit.message.message_id: hit for hit in ranked([question, answer, elsewhere, later], None)}

    assert hits["a"].relevance > hits["b"].relevance > hits["c"].relevance
    shown = {name: hit.signals.get("surroundings", 0.0) for name, hit in hits.items()}
    assert shown["a"] > shown["b"] > shown["c"] == pytest.approx(0.0)


def test_who_says_all_of_the_question_needs_nothing_around_it() -> None:
    points = [
        FoundPoint("q/0", 0.9, turn("q", "The violin, Ann?", 1)),
        FoundPoint("a/0", 0.2, turn("a", "She tunes the violin.", 2)),
        FoundPoint("b/0", 0.2, turn("b", "Yes!", 2)),
    ]

    hits = ranked(points, [], question=read_question("Who tunes the violin?", NOW))

    shown = {hit.message.message_id: hit.signals.get("surroundings", 0.0) for hit in hits}
    assert shown["b"] > 0.0 == shown["a"]


def turn(message: str, text: str, minute: int, **fields: object) -> StoredMessage:
    """Return a turn of a conversation."""
    return stored(message, text, minute, **{"conversation_id": "chat", **fields})


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


def test_words_in_common_count_whatever_their_endings() -> None:
    signals = asking(
        "Who painted the rainbow sidewalk?", stored("a", "A rainbow sidewalk, painting!"), stored("b", "Hi")
    )

    assert values(signals, "coverage") == pytest.approx({"a": 1.0, "b": 0.0})
    assert 0.5 < signals["a"]["partial_coverage"] < 1.0
    assert "partial_coverage" not in signals["b"]


def test_equal_texts_get_the_same_surroundings_and_coverage_so_the_named_ones_is_first() -> None:
    messages = [
        turn("q", "Ann, do you play the violin?", 1, speaker="Bo"),
        turn("r", "I do!", 2, speaker="Bo"),
        turn("x", "Soup again?", 60, speaker="Bo"),
        turn("s", "I do", 300, speaker="Ann"),
    ]

    signals = asking("Does Ann play the violin?", *messages)

    for name in ("surroundings", "coverage", "partial_coverage"):
        assert signals["r"].get(name) == signals["s"].get(name)
    assert signals["r"]["surroundings"] > 0.0 < signals["r"]["coverage"]
    order = list(signals)
    assert order.index("s") < order.index("r")


def test_texts_behind_the_best_are_not_analysed() -> None:
    points = [FoundPoint(f"{n:03}/0", 0.9 - n / 1000, stored(f"{n:03}", "A violin")) for n in range(MAX_ANALYSED + 3)]

    hits = ranked(points, [], limit=100, question=read_question("Who plays the violin?", NOW))

    covering = {hit.message.message_id for hit in hits if "coverage" in hit.signals}
    assert covering == {f"{n:03}" for n in range(MAX_ANALYSED)}


def doubted(question: str, *messages: StoredMessage) -> tuple[dict[str, Signals], list[RankedMessage], list[str]]:
    """Return the signals of candidates, the hits, and their order where nothing is doubted."""
    points = [FoundPoint(str(place), 0.5 - place / 100, message) for place, message in enumerate(messages)]
    asked = read_question(question, NOW)
    sure = replace(PLAIN.both, relevance={**PLAIN.both.relevance, **dict.fromkeys((one.name for one in DOUBTS), 0.0)})

    hits = ranked(points, [], question=asked)
    certain = ranked(points, [], question=asked, calibration=replace(PLAIN, both=sure))

    for name, relevance in by_name(certain).items():
        assert by_name(hits)[name] < relevance
    return {hit.message.message_id: hit.signals for hit in hits}, hits, names(certain)


def test_a_name_that_nobody_mentions_lowers_all_relevances_and_no_place() -> None:
    signals, hits, order = doubted(
        "What did Zora tell Ann about Bo?",
        stored("a", "Bread"),
        stored("b", "Bo baked"),
        stored("c", "A", speaker="Ann"),
    )

    assert values(signals, "unknown_names") == pytest.approx(dict.fromkeys("abc", 1 / 3))
    assert names(hits) == order


def test_names_that_somebody_mentions_or_has_are_known() -> None:
    signals = asking(
        "What did Ann tell Bo about Zoë's?", stored("a", "bo's bread, zoë!"), stored("b", "", speaker="Ann")
    )

    assert values(signals, "unknown_names") == {"a": 0.0, "b": 0.0}


def test_terms_that_nobody_uses_lower_all_relevances_and_no_place() -> None:
    signals, hits, order = doubted("where is the accordion?", stored("a", "By the lake"), stored("b", "In the shed"))

    assert values(signals, "unknown_terms")["a"] > 0.0
    assert names(hits) == order == ["a", "b"]


def test_what_is_near_in_meaning_needs_fewer_of_the_terms() -> None:
    points = [found("a", 0.5), found("b", 0.2), found("c", 0.9)]

    hits = ranked(points, [], question=read_question("where is the accordion?", NOW))

    unknown = values({hit.message.message_id: hit.signals for hit in hits}, "unknown_terms")
    assert unknown == pytest.approx({"a": 1.2 - 1.0, "b": 1.2 - 0.25, "c": 0.0})


def test_another_speaker_before_the_named_one_lowers_all_relevances_and_no_place() -> None:
    signals, hits, order = doubted(
        "What did Ann bake?", stored("a", "Bread!", speaker="Bo"), stored("b", "Rolls!", speaker="Ann")
    )

    assert values(signals, "other_speaker") == {"a": 1.0, "b": 0.0}
    assert names(hits) == order == ["a", "b"]


def test_another_time_before_the_named_one_lowers_all_relevances_and_no_place() -> None:
    signals, hits, order = doubted(
        "What did we eat yesterday?",
        stored("a", "Soup", occurred_at=NOW - timedelta(days=28)),
        stored("b", "Soup", occurred_at=NOW - timedelta(hours=13)),
    )

    assert values(signals, "other_time") == {"a": 1.0, "b": 0.0}
    assert names(hits) == order == ["a", "b"]


def test_without_names_and_times_in_the_question_nothing_is_doubted() -> None:
    signals = asking("where is the lake?", stored("a", "By the lake", speaker="Ann"), stored("b", "By the lake"))

    for doubt in DOUBTS:
        assert values(signals, doubt.name) == {"a": 0.0, "b": 0.0}


def test_a_document_has_no_speaker_and_no_time_so_neither_is_another() -> None:
    paper = stored("a", "The festival drew a thousand guests.", kind="document")
    said = stored("b", "I was there, too.", speaker="Ann", occurred_at=datetime(2019, 5, 4, tzinfo=UTC))

    signals = asking("What did Ann read about the festival in 2024?", paper, said)

    assert values(signals, "other_speaker") == {"a": 0.0, "b": 0.0}
    assert values(signals, "other_time") == {"a": 0.0, "b": 1.0}


def test_a_doubt_about_another_than_the_first_one_changes_nothing() -> None:
    by_ann, by_bo = stored("a", "Bread!", speaker="Ann"), stored("b", "Rolls!", speaker="Bo")
    points = [FoundPoint("a/0", 0.5, by_ann), FoundPoint("b/0", 0.4, by_bo)]
    same = [FoundPoint("a/0", 0.5, by_ann), FoundPoint("b/0", 0.4, stored("b", "Rolls!", speaker="Ann"))]
    question = read_question("What did Ann bake?", NOW)

    assert by_name(ranked(points, [], question=question)) == by_name(ranked(same, [], question=question))
