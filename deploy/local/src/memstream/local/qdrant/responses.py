"""Points in responses: which payload fields and vectors a client wants to see, and points as JSON."""

from __future__ import annotations  # the engine has its type aliases in its stub only

from collections.abc import Iterable

import qdrant_edge as qe

from memstream.local.qdrant.json_fields import Json, boolean, single_field, strings
from memstream.local.qdrant.vectors import VectorSchema, to_json

_SELECTORS = {"include": qe.PayloadSelector.Include, "exclude": qe.PayloadSelector.Exclude}


def read_with_payload(body: Json, *, default: bool) -> qe.WithPayloadType:
    """Return ``with_payload``: true, false, ``{"include": [keys]}`` or ``{"exclude": [keys]}``."""
    value = body.get("with_payload")
    if value is None:
        return default
    if isinstance(value, bool):
        return value
    kind, keys = single_field(value, _SELECTORS, "with_payload")
    return _SELECTORS[kind](strings(keys, f"with_payload.{kind}"))


def read_with_vector(body: Json, schema: VectorSchema) -> qe.WithVectorType:
    """Return ``with_vector``: true, false, or a list of the collection's vectors."""
    value = body.get("with_vector")
    if value is None:
        return False
    if isinstance(value, list):
        for name in strings(value, "with_vector"):
            schema.check(name)
        return value
    return boolean(value, "with_vector")


def stored_points(records: Iterable[qe.Record]) -> list[Json]:
    """Return points as JSON: id, and what was selected of payload and vectors."""
    return [{"id": record.id, **_selected(record)} for record in records]


def scored_points(points: Iterable[qe.ScoredPoint]) -> list[Json]:
    """Return the points a query found as JSON: id, version, score, and what was selected of payload and vectors."""
    return [{"id": point.id, "version": point.version, "score": point.score, **_selected(point)} for point in points]


def _selected(point: qe.Record | qe.ScoredPoint) -> Json:
    # Each property is read once: the engine converts it anew at every access.
    selected: Json = {}
    payload = point.payload
    if payload is not None:
        selected["payload"] = payload
    vector = point.vector
    if vector is not None:
        selected["vector"] = to_json(vector)
    order_value = point.order_value
    if order_value is not None:
        selected["order_value"] = order_value
    return selected
