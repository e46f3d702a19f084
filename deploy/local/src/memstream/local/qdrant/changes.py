"""Changes to a collection's settings and named vectors."""

import logging

import qdrant_edge as qe

from memstream.local.qdrant.collection import Collection, add_vector
from memstream.local.qdrant.fields import Json, integer, known, table
from memstream.local.qdrant.refusals import not_found, unsupported, wrong
from memstream.local.qdrant.schemas import by_name, refuse_strict_mode
from memstream.local.qdrant.vectors import DEFAULT

_CREATE = frozenset(
    [
        "vectors",
        "sparse_vectors",
        "shard_number",
        "sharding_method",
        "replication_factor",
        "write_consistency_factor",
        "on_disk_payload",
        "payload",
        "id_tracker",
        "hnsw_config",
        "wal_config",
        "optimizers_config",
        "quantization_config",
        "strict_mode_config",
        "metadata",
    ]
)
_UPDATE = frozenset(
    [
        "vectors",
        "sparse_vectors",
        "params",
        "hnsw_config",
        "optimizers_config",
        "quantization_config",
        "strict_mode_config",
        "metadata",
    ]
)
_PARAMS = frozenset(
    [
        "replication_factor",
        "write_consistency_factor",
        "read_fan_out_factor",
        "read_fan_out_delay_ms",
        "on_disk_payload",
        "payload",
        "id_tracker",
    ]
)
_VECTOR = frozenset(("hnsw_config", "quantization_config", "on_disk", "memory"))
_WAL = ("wal_capacity_mb", "wal_segments_ahead", "wal_retain_closed")
_COPIES = ("shard_number", "replication_factor", "write_consistency_factor")
_DENSE = ("size", "distance", "multivector_config", "datatype")
_SPARSE = ("modifier", "datatype")

log = logging.getLogger(__name__)


def read_creation(body: Json) -> Json:
    """Read the body of a creation. Numbers of shards and copies are kept and reported, but there is always one."""
    known(body, _CREATE, "collection")
    for name in _COPIES:
        if body.get(name) is not None and integer(body[name], name, 1) > 1:
            log.warning("%s of %s is recorded, but here is one shard in one copy", name, body[name])
    if body.get("wal_config") is not None:
        known(body["wal_config"], _WAL, "wal_config")
    if body.get("sharding_method") == "custom":
        raise unsupported("`sharding_method` custom, there is one shard")
    refuse_strict_mode(body)
    table(body.get("metadata") or {}, "metadata")
    return {name: value for name, value in body.items() if value is not None}


def update(collection: Collection, body: Json) -> None:
    """Apply the body of ``PATCH /collections/{name}``."""
    known(body, _UPDATE, "collection update")
    refuse_strict_mode(body)
    config = dict(collection.config)
    for name in ("hnsw_config", "optimizers_config", "metadata"):
        if body.get(name) is not None:
            config[name] = {**config.get(name, {}), **table(body[name], name)}
    if body.get("quantization_config") is not None:
        config["quantization_config"] = _quantization(body["quantization_config"])
    if body.get("params") is not None:
        config |= known(body["params"], _PARAMS, "params")
    if body.get("vectors") is not None:
        config["vectors"] = _merge_vectors(config.get("vectors"), table(body["vectors"], "vectors"))
    if body.get("sparse_vectors") is not None:
        config["sparse_vectors"] = _merge_sparse(
            config.get("sparse_vectors") or {}, table(body["sparse_vectors"], "sparse_vectors")
        )
    collection.reconfigure(config)


def create_vector(collection: Collection, name: str, body: Json) -> int:
    """Add a named vector, ``{"dense": {...}}`` or ``{"sparse": {...}}``, that no point has yet."""
    known(body, ("dense", "sparse"), "vector")
    if len(body) != 1:
        raise wrong("a vector is either `dense` or `sparse`")
    if name in collection.layout.dense or name in collection.layout.sparse:
        raise wrong(f"Vector `{name}` already exists")
    config = dict(collection.config)
    if "dense" in body:
        config["vectors"] = {**_named(config), name: known(body["dense"], _DENSE, "dense")}
    else:
        sparse = known(body["sparse"], _SPARSE, "sparse")
        params: Json = {"modifier": sparse.get("modifier"), "index": {"datatype": sparse.get("datatype")}}
        config["sparse_vectors"] = {**(config.get("sparse_vectors") or {}), name: params}
    return collection.change_vectors(config, add_vector(name, config))


def delete_vector(collection: Collection, name: str) -> int:
    """Drop a named vector from the collection and from all points."""
    layout = collection.layout
    if name not in layout.dense and name not in layout.sparse:
        raise not_found(f"Vector `{name}` doesn't exist in the collection")
    kind = "vectors" if name in layout.dense else "sparse_vectors"
    held = by_name(collection.config.get("vectors")) if kind == "vectors" else collection.config["sparse_vectors"]
    config = {**collection.config, kind: {each: value for each, value in held.items() if each != name}}
    return collection.change_vectors(config, qe.UpdateOperation.delete_vector_name(name))


def _named(config: Json) -> dict[str, Json]:
    """Return the dense vectors by name; the unnamed one keeps its empty name."""
    return by_name(config.get("vectors"))


def _quantization(value: object) -> object:
    return None if value == "Disabled" else value


def _merge_vectors(held: object, changes: Json) -> dict[str, Json] | Json:
    vectors = by_name(held)
    for name, change in changes.items():
        if name not in vectors:
            raise wrong(f"Not existing vector name error: {name}")
        new = dict(known(change, _VECTOR, f"vectors.{name}"))
        if "hnsw_config" in new:
            new["hnsw_config"] = {**(vectors[name].get("hnsw_config") or {}), **(new["hnsw_config"] or {})}
        if "quantization_config" in new:
            new["quantization_config"] = _quantization(new["quantization_config"])
        vectors[name] = {**vectors[name], **new}
    return vectors[DEFAULT] if set(vectors) == {DEFAULT} else vectors


def _merge_sparse(held: Json, changes: Json) -> Json:
    for name in changes:
        if name not in held:
            raise wrong(f"Not existing vector name error: {name}")
    return {**held, **{name: {**held[name], **table(change, name)} for name, change in changes.items()}}
