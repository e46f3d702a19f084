"""Payload indexes: their schemas, from JSON to the engine's types."""

from __future__ import annotations  # the engine has its type aliases in its stub only

from collections.abc import Callable
from typing import TypeAlias

import qdrant_edge as qe

from memstream.local.qdrant.json_fields import boolean, choice, optional, required, strict_object, string

IndexSchema: TypeAlias = "qe.PayloadSchemaType | qe.PayloadSchemaParams"

_TYPES: dict[str, qe.PayloadSchemaType] = {
    "keyword": qe.PayloadSchemaType.Keyword,
    "integer": qe.PayloadSchemaType.Integer,
    "datetime": qe.PayloadSchemaType.Datetime,
}
_PARAMETERS: dict[str, tuple[Callable[..., qe.PayloadSchemaParams], tuple[str, ...]]] = {
    "keyword": (qe.KeywordIndexParams, ("enable_hnsw", "is_tenant")),
    "integer": (qe.IntegerIndexParams, ("enable_hnsw",)),
    "datetime": (qe.DatetimeIndexParams, ("enable_hnsw",)),
}
_FIELDS = ("type", "enable_hnsw", "is_tenant")


def read_schema(value: object, where: str = "field_schema") -> IndexSchema:
    """Return an index's schema, from a type's name or from its parameters with that name in ``type``."""
    if isinstance(value, str):
        return choice(value, _TYPES, where)
    build, names = _PARAMETERS[schema_type(value, where)]
    body = strict_object(value, ("type", *names), where)
    return build(**{name: optional(boolean, body, name) for name in names})


def schema_type(value: object, where: str = "field_schema") -> str:
    """Return the name of the type that a schema is for."""
    name = value if isinstance(value, str) else required(strict_object(value, _FIELDS, where), "type", where)
    choice(name, _TYPES, where)
    return string(name, where)
