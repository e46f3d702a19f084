"""Queries: from the JSON of a batch of queries to the engine's requests."""

from __future__ import annotations  # the engine has its type aliases in its stub only

import qdrant_edge as qe

from memstream.local.qdrant.errors import malformed
from memstream.local.qdrant.filters import optional_filter, read_filter
from memstream.local.qdrant.json_fields import (
    Json,
    choice,
    integer,
    required,
    single_field,
    strict_object,
    string,
)
from memstream.local.qdrant.responses import read_with_payload, read_with_vector
from memstream.local.qdrant.vectors import VectorSchema, read_query_vector

_DEFAULT_LIMIT = 10
_STAGE = ("query", "using", "filter", "params", "limit")
"""What a query and its prefetches have in common."""
_PREFETCH = frozenset(_STAGE)
_QUERY = frozenset((*_STAGE, "prefetch", "with_vector", "with_payload"))
_ORDER = ("key", "direction", "start_from")
_DIRECTIONS = {"asc": qe.Direction.Asc, "desc": qe.Direction.Desc}


def read_query(body: Json, schema: VectorSchema, where: str) -> qe.QueryRequest:
    """Return one of the ``searches`` of ``points/query/batch``."""
    strict_object(body, _QUERY, where)
    return qe.QueryRequest(
        limit=read_limit(body),
        query=_scoring(body, schema, where),
        prefetches=_prefetches(body.get("prefetch"), schema, f"{where}.prefetch"),
        with_vector=read_with_vector(body, schema),
        with_payload=read_with_payload(body, default=False),
        filter=optional_filter(body),
        params=_params(body.get("params")),
    )


def read_limit(body: Json) -> int:
    """Return ``limit``, at least 1, or Qdrant's default."""
    return _DEFAULT_LIMIT if body.get("limit") is None else integer(body["limit"], "limit", 1)


def read_order(value: object, where: str) -> qe.OrderBy:
    """Return an order: a payload key, or ``{"key", "direction", "start_from"}``."""
    if isinstance(value, str):
        return qe.OrderBy(value)
    body = strict_object(value, _ORDER, where)
    direction, start = body.get("direction"), body.get("start_from")
    if start is not None and (isinstance(start, bool) or not isinstance(start, (int, float, str))):
        raise malformed(f"`{where}.start_from` must be a number or a time")
    return qe.OrderBy(
        string(required(body, "key", where), f"{where}.key"),
        None if direction is None else choice(direction, _DIRECTIONS, f"{where}.direction"),
        start,
    )


def _prefetches(value: object, schema: VectorSchema, where: str) -> list[qe.Prefetch] | None:
    if value is None:
        return None
    rows = value if isinstance(value, list) else [value]
    return [_prefetch(each, schema, f"{where}[{index}]") for index, each in enumerate(rows)]


def _prefetch(value: object, schema: VectorSchema, where: str) -> qe.Prefetch:
    body = strict_object(value, _PREFETCH, where)
    return qe.Prefetch(
        limit=read_limit(body),
        query=_scoring(body, schema, where),
        params=_params(body.get("params")),
        filter=optional_filter(body),
    )


def _scoring(body: Json, schema: VectorSchema, where: str) -> qe.ScoringQueryType | None:
    """Return what orders the points: nearness to a vector or a text, or a payload field. None lists them by id."""
    value = body.get("query")
    if value is None:
        return None
    at = f"{where}.query"
    if isinstance(value, dict) and "order_by" in value:
        _, order = single_field(value, ("order_by",), at)
        return read_order(order, f"{at}.order_by")
    if isinstance(value, dict) and "nearest" in value:
        # The same as the bare vector; Qdrant's client writes it so.
        _, value = single_field(value, ("nearest",), at)
    using = string(required(body, "using", where), f"{where}.using")
    schema.check(using)
    vector = read_query_vector(value, at)
    try:
        return qe.Query.Nearest(vector, using=using)
    except (TypeError, ValueError) as error:
        raise malformed(f"`{at}` has a value that is no number where a vector should be") from error


def _params(value: object) -> qe.SearchParams | None:
    if value is None:
        return None
    _, idf = single_field(value, ("idf",), "params")
    _, corpus = single_field(idf, ("corpus",), "params.idf")
    return qe.SearchParams(idf=qe.IdfParams(read_filter(corpus, "params.idf.corpus")))
