"""Grouped queries: the best points of each value of a payload field, which the engine itself does not do."""

from __future__ import annotations  # the engine has its type aliases in its stub only

from collections.abc import Callable, Iterator
from functools import partial

import qdrant_edge as qe

from memstream.local.qdrant.catalog import Catalog
from memstream.local.qdrant.collection import Collection
from memstream.local.qdrant.fields import Json, integer, known, optional, point_id, required, text
from memstream.local.qdrant.refusals import Refusal
from memstream.local.qdrant.searches import LEVEL, read_limit, read_query
from memstream.local.qdrant.selections import read_with_payload, read_with_vector, render_records, render_scored

GroupId = int | str

_FIELDS = frozenset((*LEVEL, "shard_key", "with_vector", "with_payload", "group_by", "group_size", "with_lookup"))
_DEFAULT_GROUP_SIZE = 3
_WIDER = 4


def query_groups(body: Json, catalog: Catalog, collection: Collection) -> Json:
    """Return ``{"groups": [...]}``: up to ``limit`` groups, best first, of up to ``group_size`` points each.

    Asks for more and more points until the groups are full or there are no more points, so that the answer is exact.
    """
    known(body, _FIELDS, "group request")
    field = text(required(body, "group_by", "group request"), "group_by")
    size = optional(lambda value, where: integer(value, where, 1), body, "group_size") or _DEFAULT_GROUP_SIZE
    wanted = read_limit(body)
    inner = {name: each for name, each in body.items() if name not in ("group_by", "group_size", "with_lookup")}
    found = _widen(inner, catalog, collection, wanted * size, lambda ids: _enough(ids, field, wanted, size))
    groups = _collect(found, field, wanted, size)
    points = _shown(body, collection, [point.id for members in groups.values() for point in members])
    scored = {name: render_scored(members, collection.layout, vectors=False) for name, members in groups.items()}
    rows: list[Json] = [
        {"id": name, "hits": [{**hit, **points[str(hit["id"])]} for hit in hits]} for name, hits in scored.items()
    ]
    if body.get("with_lookup") is not None:
        _look_up(rows, body["with_lookup"], catalog)
    return {"groups": rows}


def _widen(
    body: Json,
    catalog: Catalog,
    collection: Collection,
    limit: int,
    enough: Callable[[list[qe.ScoredPoint]], bool],
) -> list[qe.ScoredPoint]:
    """Query with growing limits, prefetches included, payloads only."""
    factor = 1
    while True:
        request = {**_scaled(body, factor), "limit": limit * factor, "with_payload": True, "with_vector": False}
        query = read_query(request, catalog, collection)
        points = collection.read(partial(_run, query))
        everything = limit * factor >= collection.read(lambda shard: shard.info().points_count)
        if everything or enough(points):
            return points
        factor *= _WIDER


def _run(query: qe.QueryRequest, shard: qe.EdgeShard) -> list[qe.ScoredPoint]:
    return shard.query(query)


def _scaled(body: Json, factor: int) -> Json:
    prefetch = body.get("prefetch")
    if prefetch is None:
        return body
    rows = prefetch if isinstance(prefetch, list) else [prefetch]
    return {
        **body,
        "prefetch": [
            {**_scaled(each, factor), "limit": read_limit(each) * factor} if isinstance(each, dict) else each
            for each in rows
        ],
    }


def _values(payload: object, path: str) -> Iterator[GroupId]:
    """Yield the values of a field, through objects and arrays; ``[]`` in the path is optional."""
    rows = [payload]
    for step in path.replace("[]", "").split("."):
        rows = [each[step] for each in rows if isinstance(each, dict) and step in each]
        rows = [item for each in rows for item in (each if isinstance(each, list) else [each])]
    seen: set[GroupId] = set()
    for each in rows:
        if isinstance(each, (str, int)) and not isinstance(each, bool) and each not in seen:
            seen.add(each)
            yield each


def _collect(points: list[qe.ScoredPoint], field: str, wanted: int, size: int) -> dict[GroupId, list[qe.ScoredPoint]]:
    groups: dict[GroupId, list[qe.ScoredPoint]] = {}
    for point in points:
        for value in _values(point.payload, field):
            if value not in groups and len(groups) == wanted:
                continue
            members = groups.setdefault(value, [])
            if len(members) < size:
                members.append(point)
    return groups


def _enough(points: list[qe.ScoredPoint], field: str, wanted: int, size: int) -> bool:
    groups = _collect(points, field, wanted, size)
    return len(groups) == wanted and all(len(members) == size for members in groups.values())


def _shown(body: Json, collection: Collection, ids: list[qe.PointId]) -> dict[str, Json]:
    """Return what the client wants to see of each point."""
    with_payload = read_with_payload(body, otherwise=False)
    with_vector = read_with_vector(body, collection.layout)
    records = collection.read(lambda shard: shard.retrieve(list(dict.fromkeys(ids)), with_payload, with_vector))
    shown: dict[str, Json] = {}
    for row in render_records(records, collection.layout):
        shown[str(row["id"])] = {"payload": None, **row}
    return shown


def _look_up(rows: list[Json], value: object, catalog: Catalog) -> None:
    """Add to each group the record that has the group's id in another collection."""
    body = (
        {"collection": value}
        if isinstance(value, str)
        else known(value, ("collection", "with_payload", "with_vectors"), "with_lookup")
    )
    other = catalog.get(text(required(body, "collection", "with_lookup"), "with_lookup.collection"))
    with_payload = read_with_payload(body, otherwise=True)
    with_vector = read_with_vector({"with_vector": body.get("with_vectors")}, other.layout)
    for row in rows:
        try:
            identity = point_id(row["id"], "group id")
        except Refusal:  # a value that no point can have as its id
            row["lookup"] = None
            continue
        records = other.read(partial(_fetch, identity, with_payload, with_vector))
        row["lookup"] = next(iter(render_records(records, other.layout)), None)


def _fetch(
    identity: qe.PointId, with_payload: qe.WithPayloadType, with_vector: qe.WithVectorType, shard: qe.EdgeShard
) -> list[qe.Record]:
    return shard.retrieve([identity], with_payload, with_vector)
