"""From candidates to hits: chunks become messages, signals become a relevance, the most relevant come first. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from memstream.contracts.searches import Mode
from memstream.retriever.neighbours import Turn, support
from memstream.retriever.relevance import POOL, Calibration, Signals, prior_among, probability, rarity_among
from memstream.vectors.collection import Candidates, FoundPoint


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
    limit: int,
    min_relevance: float = 0.0,
    filtered: bool = False,
) -> list[Ranked]:
    """Give the messages of at least that relevance, the most relevant first, `limit` at the most.

    In mode `dense` or `keyword` that signal alone counts; in `hybrid` whatever signals there are. Candidates that are
    `filtered` are not all that the user said, though they may be few.
    """
    chunks = list(_chunks(candidates, mode))
    # A cosine is given for every message, however far off, so a short list is a short history. Words leave out what
    # doesn't share them, and filters what they are told to: there a short list says nothing.
    whole = candidates.dense is not None and mode != "keyword" and not filtered
    among = len({payload.get("message_id") for payload, _ in chunks}) if whole else POOL
    messages = list(_best_chunks(chunks, calibration, rarity_among(among)).values())
    prior = prior_among(among)
    supports = support([_turn(payload, evidence) for payload, _, evidence in messages])
    ranked = [
        Ranked(payload, replace(signals, neighbours=inherited), probability(evidence + inherited + prior))
        for (payload, signals, evidence), inherited in zip(messages, supports, strict=True)
    ]
    hits = [one for one in ranked if one.relevance >= min_relevance]
    # Among equals the order must not depend on how the server listed them.
    hits.sort(key=lambda one: (-one.relevance, str(one.payload.get("message_id"))))
    return hits[:limit]


_Scored = tuple[Mapping[str, Any], Signals, float]


def _best_chunks(
    chunks: Iterable[tuple[Mapping[str, Any], Signals]], calibration: Calibration, rarity: float
) -> dict[str, _Scored]:
    """Give for each message the payload, the signals and the evidence of its best chunk."""
    best: dict[str, _Scored] = {}
    for payload, found in chunks:
        signals = replace(found, rarity=rarity)
        evidence = calibration.evidence(signals)
        message_id = str(payload.get("message_id"))
        if message_id not in best or evidence > best[message_id][2]:
            best[message_id] = payload, signals, evidence
    return best


def _turn(payload: Mapping[str, Any], evidence: float) -> Turn:
    return Turn(
        conversation_id=payload.get("conversation_id"),
        # Both are UTC in ISO 8601, which sorts as it stands.
        order=(str(payload.get("occurred_at")), str(payload.get("recorded_at"))),
        words=len(str(payload.get("text")).split()) * int(payload.get("chunks", 1)),
        evidence=evidence,
    )


def _chunks(candidates: Candidates, mode: Mode) -> Iterable[tuple[Mapping[str, Any], Signals]]:
    dense = {point.id: point for point in candidates.dense or () if mode != "keyword"}
    keyword = {point.id: point for point in candidates.keyword or () if mode != "dense"}
    both = mode == "hybrid" and candidates.dense is not None and candidates.keyword is not None
    for name in dense | keyword:
        payload = (dense.get(name) or keyword[name]).payload
        if not payload:
            # Stored between the two answers: the one that would have brought its payload did not have it yet.
            continue
        yield (
            payload,
            Signals(
                dense=_score(dense.get(name), asked=both),
                keyword=_score(keyword.get(name), asked=both),
                chunks=int(payload.get("chunks", 1)),
            ),
        )


def _score(point: FoundPoint | None, *, asked: bool) -> float | None:
    """Give a signal's score. Each scores what either found; what shares no word with the question is left out."""
    if point is not None:
        return point.score
    return 0.0 if asked else None
