"""Queries that score points: as they stand in a request, and what answers them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import orjson

from memstream.vectors.store.messages import StoredMessage
from memstream.vectors.store.qdrant.filters import CorpusFilter, OwnedFilter


@dataclass(frozen=True, slots=True)
class Score:
    """What a query scores points by: a vector, or a document for one of the server's own models."""

    query: npt.NDArray[np.float32] | Mapping[str, Any]
    using: str
    """The name of the vector that is compared."""
    corpus: CorpusFilter | None = None
    """The points among which terms are rare or common."""


@dataclass(frozen=True, slots=True)
class Query:
    """A scored query. With `prefetch`, only what those queries find is scored."""

    score: Score
    filter: OwnedFilter
    limit: int
    prefetch: tuple["Query", ...] = ()
    with_payload: bool = False
    without: tuple[str, ...] = ()
    """Fields of the payload to leave out."""
    with_vector: str | None = None
    """The name of the stored vector to return."""

    def written(self) -> dict[str, Any]:
        """Return the query as it stands in a request's body."""
        body: dict[str, Any] = {
            "query": self.score.query,
            "using": self.score.using,
            "filter": self.filter.json,
            "limit": self.limit,
            "with_payload": {"exclude": self.without} if self.with_payload and self.without else self.with_payload,
            "with_vector": [self.with_vector] if self.with_vector else False,
        }
        if self.score.corpus is not None:
            body["params"] = {"idf": {"corpus": self.score.corpus.json}}
        if self.prefetch:
            body["prefetch"] = [query.fetched() for query in self.prefetch]
        return body

    def fetched(self) -> dict[str, Any]:
        """Return the query as it stands in another one's `prefetch`, which brings neither payload nor vector."""
        return {name: value for name, value in self.written().items() if not name.startswith("with_")}


class ScoredPoint(msgspec.Struct, gc=False):
    """A point as a query gives it back."""

    id: str
    score: float
    payload: StoredMessage | None = None
    vector: dict[str, list[float]] | None = None


class QueryAnswer(msgspec.Struct, gc=False):
    """The points that answer one query of a batch."""

    points: list[ScoredPoint]


def batch_body(queries: Sequence[Query]) -> bytes:
    """Return the body of a request that asks several queries at once."""
    body = {"searches": [query.written() for query in queries]}
    return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)
