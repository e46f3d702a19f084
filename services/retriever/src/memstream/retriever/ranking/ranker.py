"""From candidates to ranked messages: chunks become messages, features a relevance, the most relevant first. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from memstream.contracts.searches import Mode
from memstream.retriever.asking import Question
from memstream.retriever.ranking.columns import Columns
from memstream.retriever.ranking.features import matrix_of, signals_of
from memstream.retriever.ranking.models import Calibration
from memstream.retriever.ranking.scores import ADJUSTMENTS, CosineScale, Floats, Score, combined_scores
from memstream.vectors.store import Candidates, StoredMessage


@dataclass(frozen=True, slots=True)
class RankedMessage:
    """A message, by its best chunk, and its relevance."""

    point: str
    """The id of its best chunk."""
    message: StoredMessage
    """Its best chunk."""
    signals: Mapping[str, float]
    """What the relevance was made from, as an answer shows it."""
    relevance: float
    notes: Mapping[str, float] = field(default_factory=dict)
    """Signals of what changed its place among the hits."""


def rank(  # noqa: PLR0913 - what a question asks for, by name
    candidates: Candidates,
    mode: Mode,
    calibration: Calibration,
    *,
    question: Question,
    limit: int,
    min_relevance: float = 0.0,
) -> list[RankedMessage]:
    """Return the messages of at least that relevance, the most relevant first, `limit` at the most.

    In mode `dense` or `keyword` that score alone counts; in `hybrid` whatever scores there are.
    """
    scores: dict[Score, Mapping[str, float]] = {}
    if candidates.dense is not None and mode != "keyword":
        scores["dense"] = candidates.dense
    if candidates.keyword is not None and mode != "dense":
        scores["keyword"] = candidates.keyword
    scored = {point for by_point in scores.values() for point in by_point}
    chunks = {point: message for point, message in candidates.messages.items() if point in scored}
    if not chunks:
        return []
    points, columns = _best_chunks(chunks, scores, question, calibration.scale)
    model = calibration.model(dense="dense" in scores, keyword="keyword" in scores)
    values = [feature.formula(columns) for feature in model.features]
    relevances = model.relevances(matrix_of(model.features, values, columns.chunks, calibration.scale))
    best = _most_relevant(relevances, columns.messages, limit, min_relevance)
    return [
        RankedMessage(points[index], columns.messages[index], signals, relevance)
        for index, signals, relevance in zip(
            best, signals_of(model.features, values, columns.chunks, best), relevances[best].tolist(), strict=True
        )
    ]


def _best_chunks(
    chunks: Mapping[str, StoredMessage],
    scores_by_point: Mapping[Score, Mapping[str, float]],
    question: Question,
    scale: CosineScale,
) -> tuple[list[str], Columns]:
    """Return each message's best chunk: their points, and their columns."""
    points, messages = list(chunks), list(chunks.values())
    counts = np.asarray([message.chunks for message in messages], np.float64)
    # A chunk that shares no word with the question has no BM25 score; that counts as 0.
    scores: dict[Score, Floats] = {
        score: np.asarray([by_point.get(point, 0.0) for point in points], np.float64)
        for score, by_point in scores_by_point.items()
    }
    adjusted = {score: ADJUSTMENTS[score](values, counts, scale) for score, values in scores.items()}
    best = _best_by_name([message.message_id for message in messages], combined_scores(adjusted).tolist())
    if len(best) < len(points):
        points, messages = [points[index] for index in best], [messages[index] for index in best]
        scores = {score: values[best] for score, values in scores.items()}
        adjusted = {score: values[best] for score, values in adjusted.items()}
        counts = counts[best]
    return points, Columns(question, messages, scores, counts, adjusted)


def _best_by_name(names: Sequence[str], scores: Sequence[float]) -> list[int]:
    """Return the index of each name's best score, the first one of equals."""
    best: dict[str, int] = {}
    for index, name in enumerate(names):
        if scores[index] > scores[best.setdefault(name, index)]:
            best[name] = index
    return list(best.values())


def _most_relevant(
    relevances: Floats, messages: Sequence[StoredMessage], limit: int, min_relevance: float
) -> list[int]:
    """Return the indices of the most relevant messages, the most relevant first."""
    # Only those that may be among the first have to be sorted.
    least = np.partition(relevances, -limit)[-limit] if 0 < limit < len(relevances) else 0.0
    found: list[int] = np.flatnonzero(relevances >= max(min_relevance, least)).tolist()
    values: list[float] = relevances.tolist()
    # The order of equals must not depend on how the store listed them.
    found.sort(key=lambda index: (-values[index], messages[index].message_id))
    return found[:limit]
