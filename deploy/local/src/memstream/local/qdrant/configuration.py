"""A collection's configuration: checked as JSON, kept as JSON, and built for the engine."""

from __future__ import annotations  # the engine has its type aliases in its stub only

import qdrant_edge as qe

from memstream.local.qdrant.errors import not_found, unsupported, wrong_input
from memstream.local.qdrant.json_fields import (
    Json,
    choice,
    integer,
    json_object,
    optional,
    required,
    single_field,
    strict_object,
)
from memstream.local.qdrant.strict_mode import read_strict_mode
from memstream.local.qdrant.vectors import VectorSchema

_STORAGE = ("vectors", "sparse_vectors", "hnsw_config")
COPIES = ("shard_number", "replication_factor", "write_consistency_factor")
"""They are remembered: there is one server, which has everything."""
_CHANGEABLE = ("metadata", "strict_mode_config")
CONFIGURATION = (*_STORAGE, *COPIES, *_CHANGEABLE)
HNSW_DEFAULTS: Json = {"m": 16, "ef_construct": 100, "full_scan_threshold": 10_000}
MAX_SEGMENT_SIZE = 100_000  # KB
INDEXING_THRESHOLD = 0
"""KB of vectors from which on a segment gets HNSW graphs; 0 means never.

A graph costs milliseconds of CPU per point for every indexed payload field of the point, and the engine holds Python's
interpreter lock meanwhile; ``maintenance`` has the figures. Without graphs a search is exact: the payload index finds
the points that match the filter, and the query is compared with all of them.
"""

DELETED_THRESHOLD = 0.0
VACUUM_MIN_VECTOR_NUMBER = 0
"""An optimisation rewrites each segment that has a deleted point: only that takes its bytes out of the files."""

_DISTANCES = {each: getattr(qe.Distance, each) for each in ("Cosine", "Euclid", "Dot", "Manhattan")}
_MODIFIERS: dict[str, qe.Modifier | None] = {"none": None, "idf": qe.Modifier.Idf}
_DENSE = ("size", "distance")
_SPARSE = ("modifier",)
_HNSW = ("m", "payload_m")


def read_configuration(body: Json) -> Json:
    """Return the configuration of a new collection, without what is null."""
    strict_object(body, CONFIGURATION, "collection")
    _check_changeable(body)
    vectors = json_object(body.get("vectors") or {}, "vectors")
    if "size" in vectors and not isinstance(vectors["size"], dict):
        raise unsupported("an unnamed vector; give it a name")
    overlap = vectors.keys() & json_object(body.get("sparse_vectors") or {}, "sparse_vectors").keys()
    if overlap:
        raise wrong_input(f"the same name for a dense and a sparse vector: {', '.join(sorted(overlap))}")
    if not vectors and not body.get("sparse_vectors"):
        raise unsupported("a collection without any vectors")
    for name in COPIES:
        optional(lambda value, where: integer(value, where, 1), body, name)
    return {name: value for name, value in body.items() if value is not None}


def config_with_changes(config: Json, body: Json) -> Json:
    """Return the configuration after an update: metadata and rules are merged into those that are there."""
    strict_object(body, _CHANGEABLE, "collection")
    _check_changeable(body)
    merged = {name: {**(config.get(name) or {}), **body[name]} for name in _CHANGEABLE if body.get(name)}
    return {**config, **merged}


def _check_changeable(body: Json) -> None:
    optional(json_object, body, "metadata")
    optional(read_strict_mode, body, "strict_mode_config")


def vector_schema(config: Json) -> VectorSchema:
    """Return which vectors a configuration has."""
    return VectorSchema(
        dense={name: each["size"] for name, each in (config.get("vectors") or {}).items()},
        sparse=frozenset(config.get("sparse_vectors") or {}),
    )


def engine_config(config: Json) -> qe.EdgeConfig:
    """Return the configuration in the engine's types."""
    vectors, sparse_vectors = config.get("vectors") or {}, config.get("sparse_vectors") or {}
    return qe.EdgeConfig(
        vectors={name: _dense(each, f"vectors.{name}") for name, each in vectors.items()},
        sparse_vectors={name: _sparse(each, f"sparse_vectors.{name}") for name, each in sparse_vectors.items()},
        hnsw_config=_hnsw(config.get("hnsw_config") or {}),
        optimizers=qe.EdgeOptimizersConfig(
            deleted_threshold=DELETED_THRESHOLD,
            vacuum_min_vector_number=VACUUM_MIN_VECTOR_NUMBER,
            max_segment_size=MAX_SEGMENT_SIZE,
            indexing_threshold=INDEXING_THRESHOLD,
        ),
        wal_enabled=True,
    )


def config_with_vector(config: Json, name: str, body: Json) -> Json:
    """Return the configuration with one more dense vector, given as ``{"dense": {"size", "distance"}}``."""
    _, dense = single_field(body, ("dense",), "vector")
    _dense(dense, "dense")
    if name in vector_schema(config).dense or name in vector_schema(config).sparse:
        raise wrong_input(f"Vector `{name}` already exists")
    return {**config, "vectors": {**(config.get("vectors") or {}), name: dense}}


def config_without_vector(config: Json, name: str) -> Json:
    """Return the configuration without one of its vectors."""
    for kind in ("vectors", "sparse_vectors"):
        if name in (config.get(kind) or {}):
            return {**config, kind: {each: value for each, value in config[kind].items() if each != name}}
    raise not_found(f"Vector `{name}` doesn't exist in the collection")


def add_vector(name: str, config: Json) -> qe.UpdateOperation:
    """Return the operation that adds a dense vector of this configuration to a collection that lacks it."""
    dense = _dense(config["vectors"][name], name)
    return qe.UpdateOperation.create_dense_vector(name, dense.size, dense.distance)


def _dense(value: object, where: str) -> qe.EdgeVectorParams:
    body = strict_object(value, _DENSE, where)
    return qe.EdgeVectorParams(
        size=integer(required(body, "size", where), f"{where}.size", 1),
        distance=choice(required(body, "distance", where), _DISTANCES, f"{where}.distance"),
    )


def _sparse(value: object, where: str) -> qe.EdgeSparseVectorParams:
    body = strict_object(value or {}, _SPARSE, where)
    modifier = body.get("modifier") or "none"
    return qe.EdgeSparseVectorParams(modifier=choice(modifier, _MODIFIERS, f"{where}.modifier"))


def _hnsw(value: object) -> qe.HnswIndexConfig:
    body = strict_object(value, _HNSW, "hnsw_config")
    m = optional(integer, body, "m")
    return qe.HnswIndexConfig(
        **{**HNSW_DEFAULTS, **({} if m is None else {"m": m})}, payload_m=optional(integer, body, "payload_m")
    )
