"""Operations of the local stand-in for Qdrant: each takes a call and returns the ``result`` of its response."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import orjson
import qdrant_edge as qe

from memstream.local.qdrant.collection import Collection
from memstream.local.qdrant.collection_info import describe
from memstream.local.qdrant.compaction import COMPACT_WITHIN
from memstream.local.qdrant.configuration import (
    add_vector,
    config_with_changes,
    config_with_vector,
    config_without_vector,
    read_configuration,
)
from memstream.local.qdrant.errors import malformed
from memstream.local.qdrant.filters import optional_filter
from memstream.local.qdrant.json_fields import (
    Json,
    PointId,
    array,
    boolean,
    json_object,
    optional,
    point_id,
    point_ids,
    required,
    strict_object,
    string,
)
from memstream.local.qdrant.queries import read_limit, read_order, read_query
from memstream.local.qdrant.responses import read_with_payload, read_with_vector, scored_points, stored_points
from memstream.local.qdrant.storage import Storage
from memstream.local.qdrant.strict_mode import check_reads, check_updates, filters_of
from memstream.local.qdrant.updates import Write, read_batch, read_deletion
from memstream.local.qdrant.vectors import VectorSchema

_SCROLL = ("offset", "limit", "filter", "with_payload", "with_vector", "order_by")


@dataclass(frozen=True)
class Call:
    """A request: the parameters in its path and its query string, and its raw body."""

    storage: Storage
    path: Mapping[str, str]
    query: Mapping[str, str]
    raw: bytes
    now: datetime

    @property
    def collection(self) -> Collection:
        """The collection named in the path."""
        return self.storage.get(self.path["collection"])

    @property
    def body(self) -> Json:
        """The body, an object; empty if there is none."""
        if not self.raw:
            return {}
        try:
            return json_object(orjson.loads(self.raw), "body")
        except orjson.JSONDecodeError as error:
            raise malformed(str(error)) from error

    def applied(self, operation: int) -> Json:
        """Return the result of a write. It has been applied in any case; ``wait`` only decides what is promised."""
        return {
            "operation_id": operation,
            "status": "completed" if self.query.get("wait") == "true" else "acknowledged",
        }


def collection_exists(call: Call) -> Json:
    """Return whether a collection exists."""
    return {"exists": call.storage.has(call.path["collection"])}


def create_collection(call: Call) -> bool:
    """Create a collection."""
    call.storage.create(call.path["collection"], read_configuration(call.body))
    return True


def get_collection(call: Call) -> Json:
    """Describe a collection."""
    return describe(call.collection)


def update_collection(call: Call) -> bool:
    """Change a collection's metadata, or what is forbidden to ask of it."""
    collection = call.collection
    collection.configure(config_with_changes(collection.config, call.body))
    return True


def delete_collection(call: Call) -> bool:
    """Delete a collection; false if there was none."""
    return call.storage.delete(call.path["collection"])


def create_index(call: Call) -> Json:
    """Create a payload index."""
    body = strict_object(call.body, ("field_name", "field_schema"), "body")
    field = string(required(body, "field_name", "body"), "field_name")
    return call.applied(call.collection.create_index(field, required(body, "field_schema", "body")))


def create_vector(call: Call) -> Json:
    """Add a named vector, which no point has yet."""
    collection, name = call.collection, call.path["vector"]
    config = config_with_vector(collection.config, name, call.body)
    return call.applied(collection.change_vectors(config, add_vector(name, config)))


def delete_vector(call: Call) -> Json:
    """Drop a named vector from the collection and from all its points."""
    collection, name = call.collection, call.path["vector"]
    config = config_without_vector(collection.config, name)
    return call.applied(collection.change_vectors(config, qe.UpdateOperation.delete_vector_name(name)))


def write(call: Call, read: Callable[[Json, VectorSchema], Write]) -> Json:
    """Apply a write, parsed by a reader in ``updates``."""
    collection, body = call.collection, call.body
    operations = read(body, collection.schema)
    check_updates(collection.record, [body.get("filter")])
    return call.applied(collection.write(*operations))


def delete(call: Call) -> Json:
    """Delete points."""
    result = write(call, read_deletion)
    call.collection.note_deletion(call.now)
    return result


def get_residue(call: Call) -> Json:
    """Return ``clean_by``: until when the files may hold bytes of deleted points, null if they hold none.

    No Qdrant server has this route; one answers that it is not found.
    """
    since = call.collection.residue_since
    return {"clean_by": None if since is None else (since + COMPACT_WITHIN).isoformat()}


def write_batch(call: Call) -> list[Json]:
    """Apply several writes in order, and return a result for each."""
    collection, body = call.collection, call.body
    writes = read_batch(body, collection.schema)
    check_updates(
        collection.record, [each.get("filter") for written in body["operations"] for each in written.values()]
    )
    results = [call.applied(collection.write(*each)) for each in writes]
    if any("delete" in operation for operation in body["operations"]):
        collection.note_deletion(call.now)
    return results


def retrieve(call: Call) -> list[Json]:
    """Return points by their ids; those that don't exist are left out."""
    collection = call.collection
    body = strict_object(call.body, ("ids", "with_payload", "with_vector"), "body")
    ids = point_ids(required(body, "ids", "body"), "ids")
    with_payload = read_with_payload(body, default=True)
    with_vector = read_with_vector(body, collection.schema)
    return stored_points(collection.read(lambda shard: shard.retrieve(ids, with_payload, with_vector)))


def scroll(call: Call) -> Json:
    """Return points page by page, ordered by id or by a payload field."""
    collection = call.collection
    body = strict_object(call.body, _SCROLL, "body")
    if body.get("order_by") is not None and body.get("offset") is not None:
        raise malformed("`offset` cannot be combined with `order_by`: use `order_by.start_from`")
    request = qe.ScrollRequest(
        offset=optional(point_id, body, "offset"),
        limit=read_limit(body),
        filter=optional_filter(body),
        with_payload=read_with_payload(body, default=True),
        with_vector=read_with_vector(body, collection.schema),
        order_by=optional(read_order, body, "order_by"),
    )
    check_reads(collection.record, [body.get("filter")])
    points, next_page = collection.read(lambda shard: shard.scroll(request))
    return {"points": stored_points(points), "next_page_offset": next_page}


def count(call: Call) -> Json:
    """Count the points that match a filter."""
    body = strict_object(call.body, ("filter", "exact"), "body")
    request = qe.CountRequest(exact=optional(boolean, body, "exact") is not False, filter=optional_filter(body))
    collection = call.collection
    check_reads(collection.record, [body.get("filter")])
    return {"count": collection.read(lambda shard: shard.count(request))}


def facet(call: Call) -> Json:
    """Count the points of each value of a payload field."""
    body = strict_object(call.body, ("key", "limit", "filter", "exact"), "body")
    request = qe.FacetRequest(
        string(required(body, "key", "body"), "key"),
        limit=read_limit(body),
        exact=optional(boolean, body, "exact") or False,
        filter=optional_filter(body),
    )
    collection = call.collection
    check_reads(collection.record, [body.get("filter")])
    hits = collection.read(lambda shard: shard.facet(request)).hits
    return {"hits": [{"value": hit.value, "count": hit.count} for hit in hits]}


def query_batch(call: Call) -> list[Json]:
    """Answer several queries in one pass."""
    collection = call.collection
    searches = array(required(strict_object(call.body, ("searches",), "body"), "searches", "body"), "searches")
    bodies = [json_object(each, f"searches[{index}]") for index, each in enumerate(searches)]
    requests = [
        read_query(_without_payload(body), collection.schema, f"searches[{index}]") for index, body in enumerate(bodies)
    ]
    check_reads(collection.record, [each for body in bodies for each in filters_of(body)])
    found = collection.read(lambda shard: shard.query_batch(qe.QueryBatchRequest(requests)))
    answers = [{"points": scored_points(points)} for points in found]
    for body, answer in zip(bodies, answers, strict=True):
        if body.get("with_payload") is True:
            collection.payloads.add_to(answer["points"], partial(_retrieve_payloads, collection))
    return answers


def _retrieve_payloads(collection: Collection, ids: list[PointId]) -> list[qe.Record]:
    return collection.read(lambda shard: shard.retrieve(ids, with_payload=True, with_vector=False))


def _without_payload(body: Json) -> Json:
    """Return a search that leaves out whole payloads, since these are added to its answer."""
    return {**body, "with_payload": False} if body.get("with_payload") is True else body
