"""From candidates to hits: chunks become messages, signals become a relevance, the most relevant come first. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from memstream.contracts.searches import Mode
from memstream.retriever.neighbours import Turn, inherit
from memstream.retriever.questions import Asked, words_of
from memstream.retriever.relevance import POOL, Calibration, Signals, prior_among, probability, rarity_among
from memstream.vectors.questions import Candidates, FoundPoint


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
    # A cosine is given for every message, however far off, so a short list is a short history. Words leave out what
    # doesn't share them, and filters what they are told to: there a short list says nothing.
    whole = candidates.dense is not None and mode != "keyword" and not filtered
    among = len({payload.get("message_id") for payload, _, _ in found}) if whole else POOL
    messages = _best_chunks(found, calibration, rarity_among(among))
    prior = prior_among(among)
    words = [words_of(payload) for payload, _, _ in messages]
    own = [score for _, _, score in messages]
    inherited = inherit([_turn(*one) for one in zip(messages, words, strict=True)])
    told = asked.told_by([payload for payload, _, _ in messages], words, own)
    ranked = []
    for (payload, signals, _), other, tells in zip(messages, inherited, told, strict=True):
        full = Signals(
            *(signals.dense, signals.keyword, signals.chunks, other.neighbours, other.conversation),
            rarity=signals.rarity,
            **tells,
        )
        ranked.append(Ranked(payload, full, probability(calibration.evidence(full) + prior)))
    hits = [one for one in ranked if one.relevance >= min_relevance]
    # Among equals the order must not depend on how the server listed them.
    hits.sort(key=lambda one: (-one.relevance, str(one.payload.get("message_id"))))
    return hits[:limit]


_Scored = tuple[Mapping[str, Any], Signals, float]
"""A message by its best chunk: payload, scores, and the two in one."""


def _best_chunks(
    found: Iterable[tuple[Mapping[str, Any], float | None, float | None]], calibration: Calibration, rarity: float
) -> list[_Scored]:
    best: dict[str, _Scored] = {}
    for payload, dense, keyword in found:
        signals = Signals(dense, keyword, int(payload.get("chunks", 1)), rarity=rarity)
        own = calibration.own(signals)
        message_id = str(payload.get("message_id"))
        if message_id not in best or own > best[message_id][2]:
            best[message_id] = payload, signals, own
    return list(best.values())


def _turn(message: _Scored, words: int) -> Turn:
    payload, _, own = message
    return Turn(
        conversation_id=payload.get("conversation_id"),
        # Both are UTC in ISO 8601, which sorts as it stands.
        order=(str(payload.get("occurred_at")), str(payload.get("recorded_at"))),
        words=words,
        score=own,
    )


def _chunks(candidates: Candidates, mode: Mode) -> Iterable[tuple[Mapping[str, Any], float | None, float | None]]:
    """Give each candidate's payload, cosine and BM25 score."""
    dense = {point.id: point for point in candidates.dense or () if mode != "keyword"}
    keyword = {point.id: point for point in candidates.keyword or () if mode != "dense"}
    both = mode == "hybrid" and candidates.dense is not None and candidates.keyword is not None
    for name in dense | keyword:
        payload = (dense.get(name) or keyword[name]).payload
        if not payload:
            # Stored between the two answers: the one that would have brought its payload did not have it yet.
            continue
        yield payload, _score(dense.get(name), asked=both), _score(keyword.get(name), asked=both)


def _score(point: FoundPoint | None, *, asked: bool) -> float | None:
    """Give a signal's score. Each scores what either found; what shares no word with the question is left out."""
    if point is not None:
        return point.score
    return 0.0 if asked else None
