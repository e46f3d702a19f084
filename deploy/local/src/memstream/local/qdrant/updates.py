"""Changes to points: from the bodies of Qdrant's write operations to the engine's operations."""

from collections.abc import Callable, Sequence

import qdrant_edge as qe

from memstream.local.qdrant.documents import is_document
from memstream.local.qdrant.fields import (
    Json,
    PointId,
    choice,
    known,
    listing,
    no_shards,
    optional,
    point_id,
    point_ids,
    required,
    table,
    text,
    texts,
)
from memstream.local.qdrant.filters import optional_filter, read_filter
from memstream.local.qdrant.refusals import invalid, malformed, wrong
from memstream.local.qdrant.vectors import Layout, read_stored

Operation = tuple[Sequence[qe.UpdateOperation], int]
"""What the engine is to do, one after the other, and about how many points that changes."""

Write = qe.UpdateOperation
_MODES = {
    "upsert": qe.UpdateMode.Upsert,
    "insert_only": qe.UpdateMode.InsertOnly,
    "update_only": qe.UpdateMode.UpdateOnly,
}
_UPSERT = ("points", "batch", "shard_key", "update_filter", "update_mode")
_POINT = frozenset(("id", "vector", "payload"))
_SELECTOR = ("points", "filter", "shard_key")
_BY_FILTER_WEIGHT = 100

STEP = 32
"""Points that one call of the engine writes: a search waits for the call that is under way, not for the whole upsert.
One of 128 points takes 4 to 10 ms of CPU, and four of 32 together a twentieth more."""


def upsert(body: Json, layout: Layout) -> Operation:
    """Read ``{"points": [...]}`` or ``{"batch": {...}}``; the points are all checked before any is written."""
    known(body, _UPSERT, "upsert")
    no_shards(body)
    if ("points" in body) == ("batch" in body):
        raise malformed("an upsert must have exactly one of `points` and `batch`")
    if "points" in body:
        points = [_point(each, layout, index) for index, each in enumerate(listing(body["points"], "points"))]
    else:
        points = _batch(body["batch"], layout)
    if not points:
        raise wrong("Empty update request")
    mode = None if body.get("update_mode") is None else choice(body["update_mode"], _MODES, "update_mode")
    condition = optional_filter(body, "update_filter")
    # What depends on the points that are there would depend on the steps before, if an id came twice.
    is_plain = mode is None and condition is None
    step = STEP if is_plain or len({point.id for point in points}) == len(points) else len(points)
    starts = range(0, len(points), step)
    return [Write.upsert_points(points[start : start + step], condition, mode) for start in starts], len(points)


def delete(body: Json, _layout: Layout) -> Operation:
    """Read ``{"points": [ids]}`` or ``{"filter": ...}``."""
    ids, condition = _targets(body, _SELECTOR)
    if condition is not None:
        return [Write.delete_points_by_filter(condition)], _BY_FILTER_WEIGHT
    return [Write.delete_points(ids)], len(ids)


def set_payload(body: Json, _layout: Layout) -> Operation:
    """Read ``{"payload": {...}, "points" or "filter", "key"}``: these keys are set, others stay."""
    payload, key, ids, condition = _payload(body)
    if condition is not None:
        return [Write.set_payload_by_filter(condition, payload, key)], _BY_FILTER_WEIGHT
    return [Write.set_payload(ids, payload, key)], len(ids)


def overwrite_payload(body: Json, _layout: Layout) -> Operation:
    """Read the same as ``set_payload``: the payload becomes this one."""
    payload, key, ids, condition = _payload(body)
    if condition is not None:
        return [Write.overwrite_payload_by_filter(condition, payload, key)], _BY_FILTER_WEIGHT
    return [Write.overwrite_payload(ids, payload, key)], len(ids)


def delete_payload(body: Json, _layout: Layout) -> Operation:
    """Read ``{"keys": [...], "points" or "filter"}``."""
    ids, condition = _targets(body, (*_SELECTOR, "keys"))
    keys = texts(required(body, "keys", "delete_payload"), "keys")
    if condition is not None:
        return [Write.delete_payload_by_filter(condition, keys)], _BY_FILTER_WEIGHT
    return [Write.delete_payload(ids, keys)], len(ids)


def clear_payload(body: Json, _layout: Layout) -> Operation:
    """Read ``{"points": [ids]}`` or ``{"filter": ...}``."""
    ids, condition = _targets(body, _SELECTOR)
    if condition is not None:
        return [Write.clear_payload_by_filter(condition)], _BY_FILTER_WEIGHT
    return [Write.clear_payload(ids)], len(ids)


def update_vectors(body: Json, layout: Layout) -> Operation:
    """Read ``{"points": [{"id", "vector"}, ...]}``: these vectors are replaced, others stay."""
    known(body, ("points", "shard_key", "update_filter"), "update_vectors")
    no_shards(body)
    vectors: list[qe.PointVectors] = []
    for index, each in enumerate(listing(required(body, "points", "update_vectors"), "points")):
        where = f"points[{index}]"
        row = known(each, ("id", "vector"), where)
        vector = read_stored(required(row, "vector", where), layout, f"{where}.vector")
        if not vector:
            raise invalid(f"{where}.vector", "must specify vectors to update for point")
        vectors.append(qe.PointVectors(point_id(required(row, "id", where), f"{where}.id"), vector))
    return [Write.update_vectors(vectors, optional_filter(body, "update_filter"))], len(vectors)


def delete_vectors(body: Json, layout: Layout) -> Operation:
    """Read ``{"vector": [names], "points" or "filter"}``."""
    ids, condition = _targets(body, (*_SELECTOR, "vector"))
    names = texts(required(body, "vector", "delete_vectors"), "vector")
    for name in names:
        layout.check(name)
    if condition is not None:
        return [Write.delete_vectors_by_filter(condition, names)], _BY_FILTER_WEIGHT
    return [Write.delete_vectors(ids, names)], len(ids)


OPERATIONS: dict[str, Callable[[Json, Layout], Operation]] = {
    "upsert": upsert,
    "delete": delete,
    "set_payload": set_payload,
    "overwrite_payload": overwrite_payload,
    "delete_payload": delete_payload,
    "clear_payload": clear_payload,
    "update_vectors": update_vectors,
    "delete_vectors": delete_vectors,
}
"""The write operations by the names that ``points/batch`` knows them under."""


def read_batch(body: Json) -> list[tuple[str, Json]]:
    """Read ``{"operations": [{name: body}, ...]}``; an operation is translated when its turn comes."""
    operations: list[tuple[str, Json]] = []
    known(body, ("operations",), "batch")
    for index, each in enumerate(listing(required(body, "operations", "batch"), "operations")):
        where = f"operations[{index}]"
        entry = known(each, OPERATIONS, where)
        if len(entry) != 1:
            raise malformed(f"`{where}` must have exactly one operation")
        ((name, inner),) = entry.items()
        operations.append((name, table(inner, f"{where}.{name}")))
    return operations


def _point(value: object, layout: Layout, index: int) -> qe.Point:
    where = f"points[{index}]"
    if not isinstance(value, dict) or not _POINT.issuperset(value):
        known(value, _POINT, where)
    body = table(value, where)
    return _built(body.get("id"), required(body, "vector", where), body.get("payload"), layout, where)


def _built(identity: object, vector: object, payload: object, layout: Layout, where: str) -> qe.Point:
    try:
        return qe.Point(
            point_id(identity, f"{where}.id"),
            read_stored(vector, layout, f"{where}.vector"),
            None if payload is None else table(payload, f"{where}.payload"),
        )
    except (TypeError, ValueError, OverflowError) as error:
        raise malformed(f"`{where}` has a value that is no number where a vector should be") from error


def _batch(value: object, layout: Layout) -> list[qe.Point]:
    body = known(value, ("ids", "vectors", "payloads"), "batch")
    ids = listing(required(body, "ids", "batch"), "batch.ids")
    vectors = required(body, "vectors", "batch")
    payloads = listing(body.get("payloads") or [None] * len(ids), "batch.payloads")
    rows: list[object]
    if isinstance(vectors, dict) and not is_document(vectors):
        columns = {name: listing(each, f"batch.vectors.{name}") for name, each in vectors.items()}
        if any(len(column) != len(ids) for column in columns.values()):
            raise invalid("batch.vectors", "number of ids and vectors must be equal")
        rows = [{name: column[at] for name, column in columns.items()} for at in range(len(ids))]
    else:
        rows = listing(vectors, "batch.vectors")
    if len(rows) != len(ids) or len(payloads) != len(ids):
        raise invalid("batch", "number of ids, vectors and payloads must be equal")
    return [
        _built(identity, vector, payload, layout, f"batch[{index}]")
        for index, (identity, vector, payload) in enumerate(zip(ids, rows, payloads, strict=True))
    ]


def _targets(body: Json, allowed: tuple[str, ...]) -> tuple[list[PointId], qe.Filter | None]:
    known(body, allowed, "body")
    no_shards(body)
    ids, condition = body.get("points"), body.get("filter")
    if (ids is None) == (condition is None):
        raise malformed("exactly one of `points` and `filter` must say which points are meant")
    if condition is not None:
        return [], read_filter(condition)
    return point_ids(ids, "points"), None


def _payload(body: Json) -> tuple[Json, str | None, list[PointId], qe.Filter | None]:
    ids, condition = _targets(body, (*_SELECTOR, "payload", "key"))
    payload = table(required(body, "payload", "body"), "payload")
    return payload, optional(text, body, "key"), ids, condition
