"""The order in which an answer gives its hits, where that is not the order of relevance alone. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from memstream.contracts.searches import Recency
from memstream.retriever.ranking.diversity import Matrix, diversify
from memstream.retriever.ranking.features import RECENCY, REDUNDANCY, Signal
from memstream.retriever.ranking.ranker import RankedMessage
from memstream.retriever.ranking.recency import recency_of, recency_weighted
from memstream.retriever.ranking.updates import newest_first, oldest_first


def arrange(  # noqa: PLR0913 - what a question prefers, by name
    ranked: Sequence[RankedMessage],
    *,
    recency: Recency | None,
    now: datetime,
    diversity: float,
    is_present: bool,
    is_former: bool = False,
    vectors: Mapping[str, NDArray[np.float32]],
    limit: int,
) -> list[RankedMessage]:
    """Return messages that are sorted by relevance in the order the caller prefers, `limit` at the most.

    The order is that of relevance · (1 - weight + weight · recency) · (1 - diversity · redundancy); recency and
    redundancy are noted as signals. If the question is about the present (`is_present`), a message that updates another
    one gets at least its score, and goes before it unless recency or diversity put it behind. If the question asks how
    things were before (`is_former`), it is the other way round. `vectors` has the vectors of the messages' best chunks,
    by their ids.
    """
    scores = [one.relevance for one in ranked]
    if is_present:
        ranked, scores = newest_first(ranked)
    elif is_former:
        ranked, scores = oldest_first(ranked)
    if recency is not None:
        recencies = [recency_of(one.message.occurred_at, now, recency.half_life) for one in ranked]
        scores = [
            recency_weighted(score, value, recency.weight) for score, value in zip(scores, recencies, strict=True)
        ]
        ranked = [_noted(one, RECENCY, value) for one, value in zip(ranked, recencies, strict=True)]
    if diversity > 0 and ranked:
        picked = diversify(scores, _matrix(ranked, vectors), diversity, limit)
        return [_noted(ranked[index], REDUNDANCY, redundancy) for index, redundancy in picked]
    order = sorted(range(len(ranked)), key=lambda index: -scores[index])
    return [ranked[index] for index in order[:limit]]


def _noted(one: RankedMessage, signal: Signal, value: float) -> RankedMessage:
    return replace(one, notes={**one.notes, signal.name: value})


def _matrix(ranked: Sequence[RankedMessage], vectors: Mapping[str, NDArray[np.float32]]) -> Matrix:
    size = max((len(vector) for vector in vectors.values()), default=1)
    # A message without a vector is similar to none.
    matrix = np.zeros((len(ranked), size), np.float32)
    for row, one in enumerate(ranked):
        if one.point in vectors:
            matrix[row] = vectors[one.point]
    return matrix
