"""Qdrant's filter language, from JSON to the engine's conditions."""

from __future__ import annotations  # the engine has its type aliases in its stub only

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import qdrant_edge as qe

from memstream.local.qdrant.fields import (
    Json,
    PointId,
    flag,
    integer,
    known,
    listing,
    number,
    one_or_many,
    optional,
    point_ids,
    required,
    table,
    text,
)
from memstream.local.qdrant.refusals import invalid, malformed, unsupported

_CLAUSES = ("must", "should", "must_not", "min_should")
_FIELD = (
    "key",
    "match",
    "range",
    "geo_bounding_box",
    "geo_radius",
    "geo_polygon",
    "values_count",
    "is_empty",
    "is_null",
)
_BOUNDS = ("lt", "gt", "lte", "gte")

Condition: TypeAlias = "qe.ConditionType"


def read_filter(value: object, where: str = "filter") -> qe.Filter:
    """Translate a filter: ``must``, ``should``, ``must_not``, each one condition or a list, and ``min_should``."""
    body = known(value, _CLAUSES, where)
    return qe.Filter(
        must=_clause(body, "must", where),
        should=_clause(body, "should", where),
        must_not=_clause(body, "must_not", where),
        min_should=_min_should(body.get("min_should"), where),
    )


def optional_filter(body: Json, name: str = "filter") -> qe.Filter | None:
    """Translate the filter in a field that may be missing or null."""
    return optional(read_filter, body, name)


def read_condition(value: object, where: str) -> Condition:
    """Translate one condition; which one it is shows in its fields."""
    body = table(value, where)
    if "key" in body:
        return _field(body, where)
    for name, read in _CONDITIONS.items():
        if name in body:
            known(body, (name,), where)
            return read(body[name], f"{where}.{name}")
    return read_filter(body, where)


def excluding(base: qe.Filter | None, ids: list[PointId]) -> qe.Filter | None:
    """Return the filter that also leaves out these points."""
    if not ids:
        return base
    return qe.Filter(must=None if base is None else [base], must_not=[qe.HasIdCondition(set(ids))])


def _clause(body: Json, name: str, where: str) -> list[Condition] | None:
    if body.get(name) is None:
        return None
    at = f"{where}.{name}"
    return [read_condition(each, at) for each in one_or_many(body[name], at)]


def _min_should(value: object, where: str) -> qe.MinShould | None:
    if value is None:
        return None
    at = f"{where}.min_should"
    body = known(value, ("conditions", "min_count"), at)
    conditions = listing(required(body, "conditions", at), at)
    return qe.MinShould(
        [read_condition(each, at) for each in conditions], integer(required(body, "min_count", at), f"{at}.min_count")
    )


def _payload_key(value: object, where: str) -> str:
    return text(required(known(value, ("key",), where), "key", where), f"{where}.key")


def _nested(value: object, where: str) -> Condition:
    body = known(value, ("key", "filter"), where)
    inner = read_filter(required(body, "filter", where), f"{where}.filter")
    return qe.NestedCondition(text(required(body, "key", where), f"{where}.key"), inner)


def _slice(_value: object, _where: str) -> Condition:
    raise unsupported("the `slice` condition")


_CONDITIONS: dict[str, Callable[[object, str], Condition]] = {
    "is_empty": lambda value, where: qe.IsEmptyCondition(_payload_key(value, where)),
    "is_null": lambda value, where: qe.IsNullCondition(_payload_key(value, where)),
    "has_id": lambda value, where: qe.HasIdCondition(set(point_ids(value, where))),
    "has_vector": lambda value, where: qe.HasVectorCondition(text(value, where)),
    "nested": _nested,
    "slice": _slice,
}


def _field(body: Json, where: str) -> qe.FieldCondition:
    known(body, _FIELD, where)
    if not any(body.get(name) is not None for name in _FIELD[1:]):
        raise invalid(where, "at least one field condition must be specified")
    at = f"{where}[{body['key']}]"
    return qe.FieldCondition(
        text(body["key"], f"{where}.key"),
        match=None if body.get("match") is None else _match(body["match"], f"{at}.match"),
        range=None if body.get("range") is None else _range(body["range"], f"{at}.range"),
        geo_bounding_box=optional(_box, body, "geo_bounding_box"),
        geo_radius=optional(_radius, body, "geo_radius"),
        geo_polygon=optional(_polygon, body, "geo_polygon"),
        values_count=optional(_values_count, body, "values_count"),
        is_empty=optional(flag, body, "is_empty"),
        is_null=optional(flag, body, "is_null"),
    )


def _match(value: object, where: str) -> qe.MatchType:
    body = known(value, _MATCHES, where)
    if len(body) != 1:
        raise malformed(f"`{where}` must have exactly one of {', '.join(_MATCHES)}")
    ((name, wanted),) = body.items()
    return _MATCHES[name](wanted, f"{where}.{name}")


def _match_value(value: object, where: str) -> qe.MatchValue:
    if not isinstance(value, (str, int)):
        raise malformed(f"`{where}` must be a string, an integer or a boolean")
    # The binding tries integers before booleans, and takes a plain True for 1.
    return qe.MatchValue(np.bool_(value) if isinstance(value, bool) else value)  # type: ignore[arg-type]


def _alternatives(value: object, where: str) -> list[str] | list[int]:
    wanted = listing(value, where)
    if all(isinstance(each, str) for each in wanted) or all(type(each) is int for each in wanted):
        return wanted
    raise malformed(f"`{where}` must be a list of strings or a list of integers")


_MATCHES: dict[str, Callable[[object, str], qe.MatchType]] = {
    "value": _match_value,
    "text": lambda value, where: qe.MatchText(text(value, where)),
    "text_any": lambda value, where: qe.MatchTextAny(text(value, where)),
    "phrase": lambda value, where: qe.MatchPhrase(text(value, where)),
    "prefix": lambda value, where: qe.MatchPrefix(text(value, where)),
    "substring": lambda value, where: qe.MatchSubstring(text(value, where)),
    "any": lambda value, where: qe.MatchAny(_alternatives(value, where)),
    "except": lambda value, where: qe.MatchExcept(_alternatives(value, where)),
}


def _range(value: object, where: str) -> qe.RangeType:
    body = known(value, _BOUNDS, where)
    if any(isinstance(each, str) for each in body.values()):
        return qe.RangeDateTime(**{name: optional(text, body, name) for name in _BOUNDS})
    return qe.RangeFloat(**{name: optional(number, body, name) for name in _BOUNDS})


def _values_count(value: object, where: str) -> qe.ValuesCount:
    body = known(value, _BOUNDS, where)
    return qe.ValuesCount(**{name: optional(integer, body, name) for name in _BOUNDS})


def read_geo_point(value: object, where: str) -> qe.GeoPoint:
    """Translate a place, ``{"lon": ..., "lat": ...}`` in degrees."""
    body = known(value, ("lon", "lat"), where)
    return qe.GeoPoint(
        number(required(body, "lon", where), f"{where}.lon"), number(required(body, "lat", where), f"{where}.lat")
    )


def _box(value: object, where: str) -> qe.GeoBoundingBox:
    body = known(value, ("top_left", "bottom_right"), where)
    return qe.GeoBoundingBox(
        read_geo_point(body.get("top_left"), f"{where}.top_left"),
        read_geo_point(body.get("bottom_right"), f"{where}.bottom_right"),
    )


def _radius(value: object, where: str) -> qe.GeoRadius:
    body = known(value, ("center", "radius"), where)
    centre = read_geo_point(body.get("center"), f"{where}.center")
    return qe.GeoRadius(centre, number(required(body, "radius", where), f"{where}.radius"))


def _ring(value: object, where: str) -> list[qe.GeoPoint]:
    body = known(value, ("points",), where)
    return [read_geo_point(each, where) for each in listing(required(body, "points", where), where)]


def _polygon(value: object, where: str) -> qe.GeoPolygon:
    body = known(value, ("exterior", "interiors"), where)
    holes = [_ring(each, f"{where}.interiors") for each in listing(body.get("interiors") or [], where)]
    return qe.GeoPolygon(_ring(body.get("exterior"), f"{where}.exterior"), holes)
