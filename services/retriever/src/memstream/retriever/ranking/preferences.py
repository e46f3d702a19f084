"""In which order an answer gives its hits, where that is not the order of relevance alone. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np

from memstream.contracts.searches import Recency
from memstream.retriever.candidates.hits import Found
from memstream.retriever.ranking.diversity import Matrix, spread
from memstream.retriever.ranking.recency import faded, freshness
from memstream.retriever.ranking.updates import newest_first


def arrange(  # noqa: PLR0913 - what a question prefers, by name
    findings: Sequence[Found],
    *,
    recency: Recency | None,
    now: datetime,
    diversity: float,
    present: bool,
    vectors: Mapping[str, Sequence[float]],
    limit: int,
) -> list[Found]:
    """Put findings that are sorted by relevance in the order the caller prefers, `limit` at the most.

    The order is that of relevance · (1 - weight + weight · recency) · (1 - diversity · redundancy), of which recency
    and redundancy are told as signals. In questions about the `present`, what updates another one counts at least as
    much, and goes before it unless recency or diversity put it behind. `vectors` holds those of their points, by the
    points' ids.
    """
    scores = [finding.ranked.relevance for finding in findings]
    if present:
        findings, scores = newest_first(findings)
    if recency is not None:
        fresh = [freshness(one.message.occurred_at, now, recency.half_life) for one in findings]
        scores = [faded(score, one, recency.weight) for score, one in zip(scores, fresh, strict=True)]
        findings = [_noted(finding, recency=one) for finding, one in zip(findings, fresh, strict=True)]
    if diversity > 0 and findings:
        placed = spread(scores, _matrix(findings, vectors), diversity, limit)
        return [_noted(findings[place], redundancy=redundancy) for place, redundancy in placed]
    order = sorted(range(len(findings)), key=lambda place: -scores[place])
    return [findings[place] for place in order[:limit]]


def _noted(finding: Found, **notes: float) -> Found:
    return replace(finding, notes={**finding.notes, **notes})


def _matrix(findings: Sequence[Found], vectors: Mapping[str, Sequence[float]]) -> Matrix:
    size = max((len(vector) for vector in vectors.values()), default=1)
    # What lacks a vector is like nothing.
    none = [0.0] * size
    return np.asarray([vectors.get(finding.point, none) for finding in findings], dtype=np.float32)
