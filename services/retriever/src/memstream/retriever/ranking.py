"""From candidates to hits: chunks become messages, signals become a relevance, the most relevant come first. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from memstream.contracts.searches import Mode
from memstream.retriever.relevance import Calibration, Signals
from memstream.vectors.collection import Candidates, FoundPoint


@dataclass(slots=True)
class Chunk:
    """A candidate, with the score each signal gave it."""

    payload: Mapping[str, Any]
    signals: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ranked:
    """A message, by its best chunk."""

    payload: Mapping[str, Any]
    """Of the best chunk."""
    signals: Signals
    relevance: float


def rank(
    candidates: Candidates, mode: Mode, calibration: Calibration, *, limit: int, min_relevance: float
) -> list[Ranked]:
    """Give the messages of at least that relevance, the most relevant first, `limit` at the most.

    In mode `dense` or `keyword` that signal alone counts; in `hybrid` whatever signals there are.
    """
    best: dict[str, Ranked] = {}
    for chunk in _chunks(candidates, mode):
        ranked = Ranked(chunk.payload, chunk.signals, calibration.relevance(chunk.signals))
        message_id = str(chunk.payload.get("message_id"))
        if message_id not in best or ranked.relevance > best[message_id].relevance:
            best[message_id] = ranked
    hits = [ranked for ranked in best.values() if ranked.relevance >= min_relevance]
    # Among equals the order must not depend on how the server listed them.
    hits.sort(key=lambda ranked: (-ranked.relevance, str(ranked.payload.get("message_id"))))
    return hits[:limit]


def _chunks(candidates: Candidates, mode: Mode) -> Iterable[Chunk]:
    dense = candidates.dense if mode != "keyword" else None
    keyword = candidates.keyword if mode != "dense" else None
    chunks: dict[str, Chunk] = {}
    _score(chunks, "dense", dense)
    _score(chunks, "keyword", keyword)
    if dense is not None and keyword is not None:
        # Each signal scored what either found; the server leaves out what shares no word with the question.
        for chunk in chunks.values():
            chunk.signals.setdefault("keyword", 0.0)
            chunk.signals.setdefault("dense", 0.0)
    return chunks.values()


def _score(chunks: dict[str, Chunk], signal: str, found: Sequence[FoundPoint] | None) -> None:
    for point in found or ():
        chunks.setdefault(point.id, Chunk(point.payload)).signals[signal] = point.score
