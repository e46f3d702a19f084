"""Queries: from the bodies of Qdrant's universal query to the engine's requests."""

from __future__ import annotations  # the engine has its type aliases in its stub only

from dataclasses import replace

import qdrant_edge as qe

from memstream.local.qdrant.aims import DEFAULT_LIMIT, Aim
from memstream.local.qdrant.catalog import Catalog
from memstream.local.qdrant.collection import Collection
from memstream.local.qdrant.fields import Json, flag, integer, known, no_shards, number, optional, required, text
from memstream.local.qdrant.filters import excluding, optional_filter, read_filter
from memstream.local.qdrant.kinds import read_kind
from memstream.local.qdrant.selections import read_with_payload, read_with_vector
from memstream.local.qdrant.vectors import DEFAULT

LEVEL = ("prefetch", "query", "using", "filter", "params", "score_threshold", "limit", "lookup_from")
"""What a query and each of its prefetches have in common."""

_LEVEL_FIELDS = frozenset(LEVEL)
_QUERY_FIELDS = frozenset((*LEVEL, "shard_key", "offset", "with_vector", "with_payload"))
_PARAMS = ("hnsw_ef", "exact", "quantization", "indexed_only", "acorn", "idf")


def read_query(body: Json, catalog: Catalog, collection: Collection) -> qe.QueryRequest:
    """Translate the body of ``points/query``, or one of the ``searches`` of ``points/query/batch``."""
    if not _QUERY_FIELDS.issuperset(body):
        known(body, _QUERY_FIELDS, "query request")
    no_shards(body)
    aim, condition = _level(body, catalog, collection, "query request")
    return qe.QueryRequest(
        limit=aim.limit,
        offset=optional(integer, body, "offset"),
        query=_scoring(body.get("query"), aim, "query"),
        prefetches=_prefetches(body.get("prefetch"), catalog, collection, "prefetch"),
        with_vector=read_with_vector(body, collection.layout),
        with_payload=read_with_payload(body, otherwise=False),
        filter=excluding(condition, aim.used),
        score_threshold=optional(number, body, "score_threshold"),
        params=_params(body.get("params")),
    )


def read_limit(body: Json, otherwise: int = DEFAULT_LIMIT) -> int:
    """Read ``limit``, which must be at least 1."""
    return otherwise if body.get("limit") is None else integer(body["limit"], "limit", 1)


def _prefetches(value: object, catalog: Catalog, collection: Collection, where: str) -> list[qe.Prefetch] | None:
    if value is None:
        return None
    rows = value if isinstance(value, list) else [value]
    return [_prefetch(each, catalog, collection, f"{where}[{index}]") for index, each in enumerate(rows)]


def _prefetch(value: object, catalog: Catalog, collection: Collection, where: str) -> qe.Prefetch:
    body = known(value, _LEVEL_FIELDS, where)
    aim, condition = _level(body, catalog, collection, where)
    query = _scoring(body.get("query"), aim, f"{where}.query")
    return qe.Prefetch(
        limit=aim.limit,
        query=query,
        prefetches=_prefetches(body.get("prefetch"), catalog, collection, f"{where}.prefetch"),
        params=_params(body.get("params")),
        filter=excluding(condition, aim.used),
        score_threshold=optional(number, body, "score_threshold"),
    )


def _level(body: Json, catalog: Catalog, collection: Collection, where: str) -> tuple[Aim, qe.Filter | None]:
    using = body.get("using")
    aim = Aim(collection, DEFAULT if using is None else text(using, f"{where}.using"), read_limit(body))
    lookup = body.get("lookup_from")
    if lookup is not None:
        at = f"{where}.lookup_from"
        source = known(lookup, ("collection", "vector", "shard_key"), at)
        no_shards(source)
        other = catalog.get(text(required(source, "collection", at), f"{at}.collection"))
        aim = replace(aim, lookup=(other, optional(text, source, "vector") or aim.using))
    return aim, optional_filter(body)


def _scoring(value: object, aim: Aim, where: str) -> qe.ScoringQueryType | None:
    return None if value is None else read_kind(value, aim, where)


def _params(value: object) -> qe.SearchParams | None:
    if value is None:
        return None
    body = known(value, _PARAMS, "params")
    quantization, acorn, idf = body.get("quantization"), body.get("acorn"), body.get("idf")
    return qe.SearchParams(
        hnsw_ef=optional(integer, body, "hnsw_ef"),
        exact=optional(flag, body, "exact") or False,
        indexed_only=optional(flag, body, "indexed_only") or False,
        quantization=None if quantization is None else _quantization(quantization),
        acorn=None if acorn is None else _acorn(acorn),
        idf=None if idf is None else _idf(idf),
    )


def _quantization(value: object) -> qe.QuantizationSearchParams:
    body = known(value, ("ignore", "rescore", "oversampling"), "params.quantization")
    return qe.QuantizationSearchParams(
        ignore=optional(flag, body, "ignore") or False,
        rescore=optional(flag, body, "rescore"),
        oversampling=optional(number, body, "oversampling"),
    )


def _acorn(value: object) -> qe.AcornSearchParams:
    body = known(value, ("enable", "max_selectivity"), "params.acorn")
    return qe.AcornSearchParams(optional(flag, body, "enable") or False, optional(number, body, "max_selectivity"))


def _idf(value: object) -> qe.IdfParams:
    if value == "global":
        return qe.IdfParams()
    where = "params.idf"
    return qe.IdfParams(read_filter(required(known(value, ("corpus",), where), "corpus", where), where))
