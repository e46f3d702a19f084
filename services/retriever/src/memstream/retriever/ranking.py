"""From candidates to hits: chunks become messages, signals become a relevance, the most relevant come first. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from memstream.contracts.searches import Mode
from memstream.retriever.neighbours import Turn, inherit
from memstream.retriever.questions import Asked, words_of
from memstream.retriever.relevance import (
    POOL,
    Calibration,
    Columns,
    Floats,
    Signals,
    fair_cosines,
    fair_scores,
    prior_among,
    probabilities,
    rarity_among,
)
from memstream.vectors.questions import Candidates


@dataclass(frozen=True, slots=True)
class Ranked:
    """A message, by its best chunk."""

    payload: Mapping[str, Any]
    """Of the best chunk."""
    signals: Signals
    relevance: float


def rank(  # noqa: PLR0913 - what a question asks for, by name
    candidates: Candidates,
    mode: Mode,
    calibration: Calibration,
    *,
    asked: Asked,
    limit: int,
    min_relevance: float = 0.0,
    filtered: bool = False,
) -> list[Ranked]:
    """Give the messages of at least that relevance, the most relevant first, `limit` at the most.

    In mode `dense` or `keyword` that signal alone counts; in `hybrid` whatever signals there are. Candidates that are
    `filtered` are not all that the user said, though they may be few.
    """
    found = list(_chunks(candidates, mode))
    if not found:
        return []
    # A cosine is given for every message, however far off, so a short list is a short history. Words leave out what
    # doesn't share them, and filters what they are told to: there a short list says nothing.
    whole = candidates.dense is not None and mode != "keyword" and not filtered
    among = len({payload.get("message_id") for payload, _, _ in found}) if whole else POOL
    messages = _best_chunks(found, calibration, rarity_among(among))
    columns = _columns(messages, asked)
    relevances = probabilities(calibration.evidence(columns) + prior_among(among)).tolist()
    hits = [place for place, relevance in enumerate(relevances) if relevance >= min_relevance]
    # Among equals the order must not depend on how the server listed them.
    hits.sort(key=lambda place: (-relevances[place], str(messages.payloads[place].get("message_id"))))
    return [Ranked(messages.payloads[place], columns.of(place), relevances[place]) for place in hits[:limit]]


_Payload = Mapping[str, Any]
_Found = tuple[_Payload, float | None, float | None]
"""A chunk: payload, cosine and BM25 score; all chunks of a question have the same scores."""


@dataclass(frozen=True, slots=True)
class _Messages:
    """Messages, each by its best chunk; their scores are what that chunk has."""

    payloads: list[_Payload]
    dense: Floats | None
    keyword: Floats | None
    chunks: Floats
    rarity: float
    own: Floats
    """The scores in one."""


def _best_chunks(found: Sequence[_Found], calibration: Calibration, rarity: float) -> _Messages:
    _, one, other = found[0]
    dense = None if one is None else np.asarray([score for _, score, _ in found], np.float64)
    keyword = None if other is None else np.asarray([score for _, _, score in found], np.float64)
    chunks = np.asarray([payload.get("chunks", 1) for payload, _, _ in found], np.float64)
    line = calibration.line(dense=dense is not None, keyword=keyword is not None)
    own = line.own(fair_cosines(dense, chunks), fair_scores(keyword, chunks, rarity))
    scores: list[float] = own.tolist()
    best: dict[str, int] = {}
    for place, (payload, _, _) in enumerate(found):
        message_id = str(payload.get("message_id"))
        if scores[place] > scores[best.setdefault(message_id, place)]:
            best[message_id] = place
    places = list(best.values())
    return _Messages(
        [found[place][0] for place in places],
        None if dense is None else dense[places],
        None if keyword is None else keyword[places],
        chunks[places],
        rarity,
        own[places],
    )


def _columns(messages: _Messages, asked: Asked) -> Columns:
    """Give all signals of messages."""
    payloads, own = messages.payloads, messages.own.tolist()
    words = [words_of(payload) for payload in payloads]
    inherited = inherit(list(map(_turn, payloads, words, own)))
    told = asked.told_by(payloads, words, own, inherited)
    return Columns(
        dense=messages.dense,
        keyword=messages.keyword,
        chunks=messages.chunks,
        rarity=messages.rarity,
        neighbours=np.asarray([one.neighbours for one in inherited]),
        conversation=np.asarray([one.conversation for one in inherited]),
        brevity=told.brevity,
        speaker=told.speaker,
        not_own=told.not_own,
        answers=told.answers,
        phrases=told.phrases,
        coverage=told.coverage,
        time=told.time,
        early=told.early,
    )


def _turn(payload: _Payload, words: int, own: float) -> Turn:
    # Both times are UTC in ISO 8601, which sorts as it stands.
    order = (str(payload.get("occurred_at")), str(payload.get("recorded_at")))
    return Turn(payload.get("conversation_id"), order, words, own, payload.get("role") == "assistant")


def _chunks(candidates: Candidates, mode: Mode) -> Iterator[_Found]:
    """Give each candidate's payload, cosine and BM25 score."""
    dense = {point.id: point for point in candidates.dense or () if mode != "keyword"}
    keyword = {point.id: point for point in candidates.keyword or () if mode != "dense"}
    both = mode == "hybrid" and candidates.dense is not None and candidates.keyword is not None
    # Each signal scores what either found; what shares no word with the question is left out.
    none = 0.0 if both else None
    for name in dense | keyword:
        one, other = dense.get(name), keyword.get(name)
        payload = (one or keyword[name]).payload
        # Without one, it was stored between the two answers: the one that would have brought it did not have it yet.
        if payload:
            yield payload, none if one is None else one.score, none if other is None else other.score
