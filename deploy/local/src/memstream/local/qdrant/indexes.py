"""Payload indexes: their schemas from JSON to the engine's."""

from __future__ import annotations  # the engine has its type aliases in its stub only

from collections.abc import Callable
from typing import TypeAlias

import qdrant_edge as qe

from memstream.local.qdrant.documents import read_stemmer, read_stopwords, read_tokenizer
from memstream.local.qdrant.fields import Json, choice, flag, integer, known, optional, required, text
from memstream.local.qdrant.schemas import MEMORY, option

Schema: TypeAlias = "qe.PayloadSchemaType | qe.PayloadSchemaParams"

TYPES: dict[str, qe.PayloadSchemaType] = {
    name.lower(): getattr(qe.PayloadSchemaType, name)
    for name in ("Keyword", "Integer", "Float", "Geo", "Text", "Bool", "Datetime", "Uuid")
}
_EVERY = ("type", "on_disk", "memory", "enable_hnsw", "nested")
_FLAGS: dict[str, tuple[Callable[..., qe.PayloadSchemaParams], tuple[str, ...]]] = {
    "keyword": (qe.KeywordIndexParams, ("is_tenant", "prefix")),
    "integer": (qe.IntegerIndexParams, ("lookup", "range", "is_principal")),
    "float": (qe.FloatIndexParams, ("is_principal",)),
    "geo": (qe.GeoIndexParams, ()),
    "bool": (qe.BoolIndexParams, ()),
    "datetime": (qe.DatetimeIndexParams, ("is_principal",)),
    "uuid": (qe.UuidIndexParams, ("is_tenant",)),
}
_TEXT = ("tokenizer", "min_token_len", "max_token_len", "lowercase", "ascii_folding", "phrase_matching", "stopwords")
_TEXT_FIELDS = (*_EVERY, *_TEXT, "stemmer", "scoring")


def read_schema(value: object, where: str = "field_schema") -> Schema:
    """Translate an index's schema: a type's name, or its parameters with the name in ``type``."""
    if isinstance(value, str):
        return choice(value, TYPES, where)
    kind = schema_type(value, where)
    if kind == "text":
        return _text(known(value, _TEXT_FIELDS, where))
    build, flags = _FLAGS[kind]
    body = known(value, (*_EVERY, *flags), where)
    return build(**_shared(body), **{name: optional(flag, body, name) for name in flags})


def schema_type(value: object, where: str = "field_schema") -> str:
    """Return the name of the type that a schema is for."""
    name = value if isinstance(value, str) else required(known(value, _ALL_FIELDS, where), "type", where)
    choice(name, TYPES, where)
    return text(name, where)


def _shared(body: Json) -> Json:
    return {
        "on_disk": optional(flag, body, "on_disk"),
        "memory": option(body, "memory", MEMORY),
        "enable_hnsw": optional(flag, body, "enable_hnsw"),
        "nested": optional(text, body, "nested"),
    }


def _text(body: Json) -> qe.TextIndexParams:
    return qe.TextIndexParams(
        tokenizer=optional(read_tokenizer, body, "tokenizer"),
        min_token_len=optional(integer, body, "min_token_len"),
        max_token_len=optional(integer, body, "max_token_len"),
        lowercase=optional(flag, body, "lowercase"),
        ascii_folding=optional(flag, body, "ascii_folding"),
        phrase_matching=optional(flag, body, "phrase_matching"),
        stopwords=optional(read_stopwords, body, "stopwords"),
        stemmer=optional(read_stemmer, body, "stemmer"),
        scoring=optional(_scoring, body, "scoring"),
        **_shared(body),
    )


def _scoring(value: object, where: str) -> bool | qe.TextScoringParams:
    if isinstance(value, bool):
        return value
    kind = choice(required(known(value, ("type",), where), "type", where), {"bm25": qe.TextScoringType.Bm25}, where)
    return qe.TextScoringParams(kind)


_ALL_FIELDS = frozenset(_TEXT_FIELDS).union(*(flags for _, flags in _FLAGS.values()))
