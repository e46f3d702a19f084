"""The operations behind the routes: each takes a call and returns the ``result`` of its answer."""

from collections.abc import Mapping
from dataclasses import dataclass

import orjson
import qdrant_edge as qe

from memstream.local.qdrant import changes, updates
from memstream.local.qdrant.catalog import Catalog
from memstream.local.qdrant.collection import Collection
from memstream.local.qdrant.fields import (
    Json,
    flag,
    integer,
    known,
    listing,
    no_shards,
    optional,
    point_id,
    point_ids,
    required,
    table,
    text,
)
from memstream.local.qdrant.filters import optional_filter
from memstream.local.qdrant.groups import query_groups
from memstream.local.qdrant.indexes import read_schema
from memstream.local.qdrant.kinds import read_order
from memstream.local.qdrant.refusals import malformed, not_found, unsupported
from memstream.local.qdrant.reports import describe
from memstream.local.qdrant.searches import read_limit, read_query
from memstream.local.qdrant.selections import read_with_payload, read_with_vector, render_records, render_scored

_ALIASES = {
    "create_alias": ("create", "alias_name", "collection_name"),
    "delete_alias": ("delete", "alias_name", ""),
    "rename_alias": ("rename", "old_alias_name", "new_alias_name"),
}


@dataclass(frozen=True)
class Call:
    """A request: the parameters in its path and its query string, and its body as it came."""

    catalog: Catalog
    path: Mapping[str, str]
    query: Mapping[str, str]
    raw: bytes

    @property
    def collection(self) -> Collection:
        """The collection in the path; refuses if there is none."""
        return self.catalog.get(self.path["collection"])

    @property
    def body(self) -> Json:
        """The body, an object; an absent one is empty."""
        if not self.raw:
            return {}
        try:
            return table(orjson.loads(self.raw), "body")
        except orjson.JSONDecodeError as error:
            raise malformed(str(error)) from error

    def done(self, operation: int) -> Json:
        """Return the result of a write. It is applied in either case; without ``wait`` clients are promised less."""
        return {
            "operation_id": operation,
            "status": "completed" if self.query.get("wait") == "true" else "acknowledged",
        }


def list_collections(call: Call) -> Json:
    """List the collections."""
    return {"collections": [{"name": name} for name in call.catalog.names()]}


def create_collection(call: Call) -> bool:
    """Create a collection."""
    call.catalog.create(call.path["collection"], changes.read_creation(call.body))
    return True


def get_collection(call: Call) -> Json:
    """Describe a collection."""
    return describe(call.collection)


def collection_exists(call: Call) -> Json:
    """Tell whether there is a collection or an alias of that name."""
    return {"exists": call.catalog.has(call.path["collection"])}


def update_collection(call: Call) -> bool:
    """Change a collection's settings."""
    changes.update(call.collection, call.body)
    return True


def delete_collection(call: Call) -> bool:
    """Delete a collection; false if there was none."""
    return call.catalog.delete(call.path["collection"])


def change_aliases(call: Call) -> bool:
    """Create, delete and rename aliases, all or none."""
    actions: list[tuple[str, str, str]] = []
    for index, each in enumerate(
        listing(required(known(call.body, ("actions",), "body"), "actions", "body"), "actions")
    ):
        where = f"actions[{index}]"
        for name, inner in known(each, _ALIASES, where).items():
            kind, first, second = _ALIASES[name]
            body = known(inner, [part for part in (first, second) if part], f"{where}.{name}")
            names = [text(required(body, part, where), part) if part else "" for part in (first, second)]
            actions.append((kind, names[0], names[1]))
    call.catalog.change_aliases(actions)
    return True


def list_aliases(call: Call) -> Json:
    """List all aliases."""
    return {"aliases": call.catalog.aliases()}


def list_collection_aliases(call: Call) -> Json:
    """List the aliases of a collection."""
    return {"aliases": call.catalog.aliases(call.collection.name)}


def create_index(call: Call) -> Json:
    """Create a payload index."""
    body = known(call.body, ("field_name", "field_schema"), "body")
    field = text(required(body, "field_name", "body"), "field_name")
    schema = body.get("field_schema")
    if schema is None:
        raise unsupported("an index without `field_schema`, whose type would have to be guessed")
    read_schema(schema)
    return call.done(call.collection.set_index(field, schema))


def delete_index(call: Call) -> Json:
    """Drop a payload index."""
    return call.done(call.collection.set_index(call.path["field"], None))


def create_vector(call: Call) -> Json:
    """Add a named vector."""
    return call.done(changes.create_vector(call.collection, call.path["vector"], call.body))


def delete_vector(call: Call) -> Json:
    """Drop a named vector."""
    return call.done(changes.delete_vector(call.collection, call.path["vector"]))


def write_one(call: Call, name: str) -> Json:
    """Apply one of ``updates.OPERATIONS``."""
    collection = call.collection
    return call.done(collection.write(*updates.OPERATIONS[name](call.body, collection.layout)))


def write_many(call: Call) -> list[Json]:
    """Apply several operations in their order; when one is refused, those before it stay."""
    collection = call.collection
    return [
        call.done(collection.write(*updates.OPERATIONS[name](body, collection.layout)))
        for name, body in updates.read_batch(call.body)
    ]


def get_point(call: Call) -> Json:
    """Return one point with everything it has."""
    collection, wanted = call.collection, call.path["point"]
    identity = point_id(int(wanted) if wanted.isdecimal() else wanted, "id")
    records = collection.read(lambda shard: shard.retrieve([identity], True, True))  # noqa: FBT003
    if not records:
        raise not_found(f"Point with id {identity} does not exists!")
    return render_records(records, collection.layout)[0]


def get_points(call: Call) -> list[Json]:
    """Return points by their ids; those that aren't there are left out."""
    collection = call.collection
    body = known(call.body, ("ids", "with_payload", "with_vector", "shard_key"), "body")
    no_shards(body)
    ids = point_ids(required(body, "ids", "body"), "ids")
    with_payload = read_with_payload(body, otherwise=True)
    with_vector = read_with_vector(body, collection.layout)
    records = collection.read(lambda shard: shard.retrieve(ids, with_payload, with_vector))
    return render_records(records, collection.layout)


def scroll(call: Call) -> Json:
    """Return points page by page, by id or in the order of a payload field."""
    collection = call.collection
    body = known(
        call.body, ("offset", "limit", "filter", "with_payload", "with_vector", "order_by", "shard_key"), "body"
    )
    no_shards(body)
    if body.get("order_by") is not None and body.get("offset") is not None:
        raise malformed("`offset` does not go with `order_by`: use `order_by.start_from`")
    request = qe.ScrollRequest(
        offset=optional(point_id, body, "offset"),
        limit=read_limit(body),
        filter=optional_filter(body),
        with_payload=read_with_payload(body, otherwise=True),
        with_vector=read_with_vector(body, collection.layout),
        order_by=optional(read_order, body, "order_by"),
    )
    points, following = collection.read(lambda shard: shard.scroll(request))
    return {"points": render_records(points, collection.layout), "next_page_offset": following}


def count(call: Call) -> Json:
    """Count the points that a filter lets through."""
    body = known(call.body, ("filter", "exact", "shard_key"), "body")
    no_shards(body)
    exact = optional(flag, body, "exact")
    request = qe.CountRequest(exact=exact is not False, filter=optional_filter(body))
    return {"count": call.collection.read(lambda shard: shard.count(request))}


def facet(call: Call) -> Json:
    """Count the points of each value of a payload field."""
    body = known(call.body, ("key", "limit", "filter", "exact", "shard_key"), "body")
    no_shards(body)
    request = qe.FacetRequest(
        text(required(body, "key", "body"), "key"),
        limit=read_limit(body),
        exact=optional(flag, body, "exact") or False,
        filter=optional_filter(body),
    )
    hits = call.collection.read(lambda shard: shard.facet(request)).hits
    return {"hits": [{"value": hit.value, "count": hit.count} for hit in hits]}


def query(call: Call) -> Json:
    """Answer one query."""
    collection, body = call.collection, call.body
    request = read_query(body, call.catalog, collection)
    points = collection.read(lambda shard: shard.query(request))
    return {"points": render_scored(points, collection.layout, vectors=bool(body.get("with_vector")))}


def query_batch(call: Call) -> list[Json]:
    """Answer several queries in one pass."""
    collection = call.collection
    searches = listing(required(known(call.body, ("searches",), "body"), "searches", "body"), "searches")
    requests = [
        read_query(table(each, f"searches[{index}]"), call.catalog, collection) for index, each in enumerate(searches)
    ]
    answers = collection.read(lambda shard: shard.query_batch(qe.QueryBatchRequest(requests)))
    return [
        {"points": render_scored(points, collection.layout, vectors=bool(each.get("with_vector")))}
        for points, each in zip(answers, searches, strict=True)
    ]


def groups(call: Call) -> Json:
    """Answer one query in groups."""
    return query_groups(call.body, call.catalog, call.collection)


def integer_parameter(value: str, name: str) -> int:
    """Read a whole number in the query string."""
    if not value.isdecimal():
        raise malformed(f"query parameter `{name}` must be a whole number")
    return integer(int(value), name)
