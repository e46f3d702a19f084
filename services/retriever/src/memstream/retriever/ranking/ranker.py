"""From candidates to ranked messages: chunks become messages, features a relevance, the most relevant first. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from memstream.contracts.searches import Mode
from memstream.retriever.asking import Question
from memstream.retriever.ranking.columns import Columns
from memstream.retriever.ranking.features import matrix_of, signals_of
from memstream.retriever.ranking.models import Calibration, LinearModel, probabilities
from memstream.retriever.ranking.scores import (
    ADJUSTMENTS,
    LONG_HISTORY,
    Floats,
    Score,
    bm25_rarity,
    history_size,
    prior_log_odds,
)
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
    filtered: bool = False,
) -> list[RankedMessage]:
    """Return the messages of at least that relevance, the most relevant first, `limit` at the most.

    In mode `dense` or `keyword` that score alone counts; in `hybrid` whatever scores there are. If candidates are
    `filtered`, that they are few does not mean that the user's history is short.
    """
    scores_by_point: dict[Score, Mapping[str, float]] = {}
    if candidates.dense is not None and mode != "keyword":
        scores_by_point["dense"] = candidates.dense
    if candidates.keyword is not None and mode != "dense":
        scores_by_point["keyword"] = candidates.keyword
    scored = {point for scores in scores_by_point.values() for point in scores}
    chunks = {point: message for point, message in candidates.messages.items() if point in scored}
    if not chunks:
        return []
    names = [message.message_id for message in chunks.values()]
    # Every message has a cosine, however far off, so a short list is a short history. BM25 leaves out what shares no
    # word, and a filter what it does not match: there a short list says nothing.
    history = LONG_HISTORY
    if "dense" in scores_by_point and not filtered:
        history = history_size(len(set(names)), len(names), candidates.limit)
    rarity = bm25_rarity(history)
    model = calibration.model(dense="dense" in scores_by_point, keyword="keyword" in scores_by_point)
    points, columns = _best_chunks(chunks, names, scores_by_point, model, question, rarity)
    values = [feature.formula(columns) for feature in model.features]
    matrix = matrix_of(model.features, values, columns.chunks, rarity)
    relevances = probabilities(model.log_odds(matrix) + prior_log_odds(rarity))
    best = _most_relevant(relevances, columns.messages, limit, min_relevance)
    return [
        RankedMessage(points[index], columns.messages[index], signals, relevance)
        for index, signals, relevance in zip(
            best,
            signals_of(model.features, values, columns.chunks, rarity, best),
            relevances[best].tolist(),
            strict=True,
        )
    ]


def _best_chunks(  # noqa: PLR0913, PLR0917 - what columns are made of
    chunks: Mapping[str, StoredMessage],
    names: Sequence[str],
    scores_by_point: Mapping[Score, Mapping[str, float]],
    model: LinearModel,
    question: Question,
    rarity: float,
) -> tuple[list[str], Columns]:
    """Return each message's best chunk: their points, and their columns."""
    points, messages = list(chunks), list(chunks.values())
    counts = np.asarray([message.chunks for message in messages], np.float64)
    # A chunk that shares no word with the question has no BM25 score; that counts as 0.
    scores: dict[Score, Floats] = {
        score: np.asarray([by_point.get(point, 0.0) for point in points], np.float64)
        for score, by_point in scores_by_point.items()
    }
    combined = model.combined_scores(
        {score: ADJUSTMENTS[score](values, counts, rarity) for score, values in scores.items()}
    )
    best = _best_by_name(names, combined.tolist())
    if len(best) < len(points):
        points, messages = [points[index] for index in best], [messages[index] for index in best]
        scores = {score: values[best] for score, values in scores.items()}
        counts, combined = counts[best], combined[best]
    return points, Columns(question, messages, scores, counts, combined)


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
