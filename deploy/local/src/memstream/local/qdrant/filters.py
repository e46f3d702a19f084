"""Qdrant's filters, from JSON to the engine's conditions."""

from __future__ import annotations  # the engine has its type aliases in its stub only

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import qdrant_edge as qe

from memstream.local.qdrant.errors import invalid, malformed
from memstream.local.qdrant.json_fields import (
    Json,
    array,
    json_object,
    number,
    one_or_many,
    optional,
    point_ids,
    single_field,
    strict_object,
    string,
)

_CLAUSES = ("must", "should", "must_not")
_FIELD = ("key", "match", "range")
_BOUNDS = ("lt", "gt", "lte", "gte")

Condition: TypeAlias = "qe.ConditionType"


def read_filter(value: object, where: str = "filter") -> qe.Filter:
    """Return a filter: ``must``, ``should`` and ``must_not``, each one condition or a list of them."""
    body = strict_object(value, _CLAUSES, where)
    return qe.Filter(
        must=_clause(body, "must", where),
        should=_clause(body, "should", where),
        must_not=_clause(body, "must_not", where),
    )


def optional_filter(body: Json, name: str = "filter") -> qe.Filter | None:
    """Return the filter in a field, or None if the field is missing or null."""
    return optional(read_filter, body, name)


def _clause(body: Json, name: str, where: str) -> list[Condition] | None:
    if body.get(name) is None:
        return None
    at = f"{where}.{name}"
    return [_condition(each, at) for each in one_or_many(body[name], at)]


def _condition(value: object, where: str) -> Condition:
    """Return one condition; its fields tell which kind it is."""
    body = json_object(value, where)
    if "key" in body:
        return _field(body, where)
    for name, read in _CONDITIONS.items():
        if name in body:
            strict_object(body, (name,), where)
            return read(body[name], f"{where}.{name}")
    return read_filter(body, where)


_CONDITIONS: dict[str, Callable[[object, str], Condition]] = {
    "has_id": lambda value, where: qe.HasIdCondition(set(point_ids(value, where))),
    "has_vector": lambda value, where: qe.HasVectorCondition(string(value, where)),
}


def _field(body: Json, where: str) -> qe.FieldCondition:
    strict_object(body, _FIELD, where)
    if body.get("match") is None and body.get("range") is None:
        raise invalid(where, "at least one field condition must be specified")
    at = f"{where}[{body['key']}]"
    return qe.FieldCondition(
        string(body["key"], f"{where}.key"),
        match=None if body.get("match") is None else _match(body["match"], f"{at}.match"),
        range=None if body.get("range") is None else _range(body["range"], f"{at}.range"),
    )


def _match(value: object, where: str) -> qe.MatchType:
    name, wanted = single_field(value, _MATCHES, where)
    return _MATCHES[name](wanted, f"{where}.{name}")


def _match_value(value: object, where: str) -> qe.MatchValue:
    if not isinstance(value, (str, int)):
        raise malformed(f"`{where}` must be a string, an integer or a boolean")
    # The binding tries integers before booleans, and takes a plain True for 1.
    return qe.MatchValue(np.bool_(value) if isinstance(value, bool) else value)  # type: ignore[arg-type]


def _match_any(value: object, where: str) -> qe.MatchAny:
    wanted = array(value, where)
    if all(isinstance(each, str) for each in wanted) or all(type(each) is int for each in wanted):
        return qe.MatchAny(wanted)
    raise malformed(f"`{where}` must be a list of strings or a list of integers")


def _match_except(value: object, where: str) -> qe.MatchExcept:
    unwanted = array(value, where)
    if all(isinstance(each, str) for each in unwanted) or all(type(each) is int for each in unwanted):
        return qe.MatchExcept(unwanted)
    raise malformed(f"`{where}` must be a list of strings or a list of integers")


_MATCHES: dict[str, Callable[[object, str], qe.MatchType]] = {
    "value": _match_value,
    "any": _match_any,
    "except": _match_except,
}


def _range(value: object, where: str) -> qe.RangeType:
    body = strict_object(value, _BOUNDS, where)
    if any(isinstance(each, str) for each in body.values()):
        return qe.RangeDateTime(**{name: optional(string, body, name) for name in _BOUNDS})
    return qe.RangeFloat(**{name: optional(number, body, name) for name in _BOUNDS})
