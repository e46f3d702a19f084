"""What a user's points are asked, as Qdrant's REST interface has it: the body of the request, and the answer read."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
from qdrant_client import models

BM25_VECTOR = "bm25"
BM25_MODEL = "qdrant/bm25"
BM25_OPTIONS: dict[str, Any] = {"avg_len": 32.0, "language": "english"}
"""Options of the server's BM25. `avg_len` is near the mean of chat turns; documents weigh by it, queries don't."""

OWNER = "owner"


Payload = Mapping[str, Any]
"""What is stored with a point."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a user's points are asked. With both `vector` and `text`, each signal scores the candidates of both."""

    owner: str
    vector: Sequence[float] | npt.NDArray[np.float32] | None
    text: str | None
    conditions: models.Filter | None
    candidates: int
    vectors: bool = False
    """Whether to bring the stored vectors along."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """The points found for a question, all by their ids."""

    payloads: Mapping[str, Payload]
    """Those of the first signal's points, the best first. A point that is missing here was stored between the answers
    of the two: the one that would have brought its payload did not have it yet."""
    dense: Mapping[str, float] | None
    """Cosines; None where they were not asked for."""
    keyword: Mapping[str, float] | None
    """BM25 scores; None where they were not asked for."""
    asked: int
    """So many points each signal was asked to propose."""
    vectors: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """If they were asked for: the stored ones, which may be scaled."""


def owned(owner: str, conditions: models.Filter | None) -> models.Filter:
    """Narrow conditions down to one owner's points. Every query of a collection passes through here."""
    condition = models.FieldCondition(key=OWNER, match=models.MatchValue(value=owner))
    return models.Filter(must=[condition] if conditions is None else [condition, conditions])


def write_queries(questions: Sequence[Question], vector_name: str) -> bytes:
    """Write the body that asks them all in one batch of queries."""
    searches = [query for question in questions for query in _queries(question, vector_name)]
    return orjson.dumps({"searches": searches}, option=orjson.OPT_SERIALIZE_NUMPY)


def read_answers(
    questions: Sequence[Question], answers: Sequence[Mapping[str, Any]], vector_name: str
) -> list[Candidates]:
    """Read the answers to such a batch.

    Raises:
        KeyError, TypeError, AttributeError, ValueError: they are not what was asked for.

    """
    left = iter(answers)
    found = [_read(question, left, vector_name) for question in questions]
    if next(left, None) is not None:
        raise ValueError("more answers than questions")
    return found


def _read(question: Question, answers: Iterator[Mapping[str, Any]], vector_name: str) -> Candidates:
    dense, keyword = (
        None if signal is None else next(answers, {})["points"] for signal in (question.vector, question.text)
    )
    first = keyword or [] if dense is None else dense
    return Candidates(
        payloads={point["id"]: payload for point in first if (payload := point.get("payload"))},
        dense=_scores(dense),
        keyword=_scores(keyword),
        asked=question.candidates,
        vectors={point["id"]: point["vector"][vector_name] for point in first} if question.vectors else {},
    )


def _scores(points: Sequence[Mapping[str, Any]] | None) -> dict[str, float] | None:
    return None if points is None else {point["id"]: point["score"] for point in points}


def _queries(question: Question, vector_name: str) -> Iterator[dict[str, Any]]:
    condition = everything = as_json(owned(question.owner, None))
    if question.conditions is not None:
        condition = as_json(owned(question.owner, question.conditions))
    signals: list[dict[str, Any]] = []
    if question.vector is not None:
        vector = question.vector
        signals.append({"query": vector if isinstance(vector, np.ndarray) else list(vector), "using": vector_name})
    if question.text is not None:
        document = {"text": question.text, "model": BM25_MODEL, "options": BM25_OPTIONS}
        # Terms are rare or common among this owner's messages, not among everybody's.
        corpus = {"corpus": everything}
        signals.append({"query": document, "using": BM25_VECTOR, "params": {"idf": corpus}})
    searches = [{**signal, "filter": condition, "limit": question.candidates} for signal in signals]
    for place, signal in enumerate(signals):
        query: dict[str, Any] = {
            **signal,
            "filter": condition,
            "limit": question.candidates * len(signals),
            # The first answer lists them all; the second only has to score them.
            "with_payload": place == 0,
            "with_vector": [vector_name] if question.vectors and place == 0 else False,
        }
        if len(signals) > 1:
            # With two signals, each scores what either of them found.
            query["prefetch"] = searches
        yield query


def as_json(narrowed: models.Filter) -> orjson.Fragment:
    """Write a filter down once, for all the places of a body that it stands in."""
    return orjson.Fragment(narrowed.model_dump_json(exclude_none=True))
