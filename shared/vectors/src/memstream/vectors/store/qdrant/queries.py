"""A question in Qdrant's terms, and Qdrant's answer read. Pure."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from memstream.vectors.store.expiry import Expiry
from memstream.vectors.store.qdrant.filters import corpus_of, owned
from memstream.vectors.store.qdrant.keyword_spaces import KeywordSpace
from memstream.vectors.store.qdrant.scored_queries import Query, QueryAnswer, Score, ScoredPoint
from memstream.vectors.store.queries import CandidateQuery, Candidates


def queries_for(question: CandidateQuery, expiry: Expiry, vector_name: str, keywords: KeywordSpace) -> Iterator[Query]:
    """Return one query for each of the question's scores. With two, each scores what either of them found."""
    which = owned(question.owner, expiry, question.conditions)
    scores = []
    if question.vector is not None:
        scores.append(Score(question.vector, vector_name))
    if question.text is not None:
        # Terms are rare or common among this owner's messages, not among everybody's.
        scores.append(Score(keywords.document(question.text), keywords.vector_name, corpus=corpus_of(question.owner)))
    found = tuple(Query(score, which, question.limit) for score in scores)
    for place, score in enumerate(scores):
        yield Query(
            score,
            which,
            question.limit * len(scores),
            prefetch=found if len(scores) > 1 else (),
            # The first answer lists all points; the second only has to score them.
            with_payload=place == 0,
            without=("full_text",),
            with_vector=vector_name if question.with_vectors and place == 0 else None,
        )


def read_candidates(question: CandidateQuery, answers: Iterator[QueryAnswer], vector_name: str) -> Candidates:
    """Return what was found for a question, taking from `answers` as many as it has queries.

    Raises:
        ValueError: there are too few.

    """
    dense, keyword = (None if score is None else _next(answers).points for score in (question.vector, question.text))
    first = keyword or [] if dense is None else dense
    return Candidates(
        messages={point.id: point.payload for point in first if point.payload is not None},
        dense=_scores(dense),
        keyword=_scores(keyword),
        limit=question.limit,
        vectors=_vectors(first, vector_name) if question.with_vectors else {},
    )


def _next(answers: Iterator[QueryAnswer]) -> QueryAnswer:
    answer = next(answers, None)
    if answer is None:
        raise ValueError("fewer answers than queries")
    return answer


def _scores(points: Sequence[ScoredPoint] | None) -> dict[str, float] | None:
    return None if points is None else {point.id: point.score for point in points}


def _vectors(points: Sequence[ScoredPoint], vector_name: str) -> Mapping[str, npt.NDArray[np.float32]]:
    # As numbers of Python they would take eight times the memory.
    return {point.id: np.array(point.vector[vector_name], np.float32) for point in points if point.vector is not None}
