"""What of a point an answer shows, and how points are written as JSON."""

from __future__ import annotations  # the engine has its type aliases in its stub only

from collections.abc import Iterable

import qdrant_edge as qe

from memstream.local.qdrant.fields import Json, flag, known, texts
from memstream.local.qdrant.refusals import malformed
from memstream.local.qdrant.vectors import Layout, render

_SELECTORS = {"include": qe.PayloadSelector.Include, "exclude": qe.PayloadSelector.Exclude}


def read_with_payload(body: Json, *, otherwise: bool) -> qe.WithPayloadType:
    """Read ``with_payload``: true, false, a list of keys, or ``{"include": [...]}`` or ``{"exclude": [...]}``."""
    value = body.get("with_payload")
    if value is None:
        return otherwise
    if isinstance(value, bool):
        return value
    if isinstance(value, list):
        return qe.PayloadSelector.Include(texts(value, "with_payload"))
    ((name, keys),) = _one_item(known(value, _SELECTORS, "with_payload"))
    return _SELECTORS[name](texts(keys, f"with_payload.{name}"))


def read_with_vector(body: Json, layout: Layout) -> qe.WithVectorType:
    """Read ``with_vector``: true, false, or a list of names that the collection has."""
    value = body.get("with_vector")
    if value is None:
        return False
    if isinstance(value, list):
        for name in texts(value, "with_vector"):
            layout.check(name)
        return value
    return flag(value, "with_vector")


def _one_item(body: Json) -> list[tuple[str, object]]:
    if len(body) != 1:
        raise malformed("`with_payload` must have exactly one of `include` and `exclude`")
    return list(body.items())


def render_records(records: Iterable[qe.Record], layout: Layout) -> list[Json]:
    """Write stored points: id, and what was selected of payload and vectors."""
    return [{"id": record.id, **_selected(record, layout)} for record in records]


def render_scored(points: Iterable[qe.ScoredPoint], layout: Layout, *, vectors: bool) -> list[Json]:
    """Write found points: id, version, score, and what was selected; ``vectors`` says whether any were asked for."""
    return [
        {"id": point.id, "version": point.version, "score": point.score, **_selected(point, layout, vectors=vectors)}
        for point in points
    ]


def _selected(point: qe.Record | qe.ScoredPoint, layout: Layout, *, vectors: bool = True) -> Json:
    # The engine makes each of these anew whenever it is looked at.
    shown: Json = {}
    payload = point.payload
    if payload is not None:
        shown["payload"] = payload
    if vectors:  # MMR brings vectors along that nobody asked for
        vector = point.vector
        if vector is not None:
            shown["vector"] = render(vector, layout)
    order_value = point.order_value
    if order_value is not None:
        shown["order_value"] = order_value
    return shown
