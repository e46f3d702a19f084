"""What a collection tells about itself: ``GET /collections/{name}``."""

from memstream.local.qdrant.collection import Collection
from memstream.local.qdrant.fields import Json
from memstream.local.qdrant.indexes import schema_type
from memstream.local.qdrant.schemas import INDEXING_THRESHOLD, MAX_SEGMENT

_OPTIMIZERS: Json = {
    "deleted_threshold": 0.2,
    "vacuum_min_vector_number": 1000,
    "default_segment_number": 0,
    "max_segment_size": MAX_SEGMENT,
    "memmap_threshold": None,
    "indexing_threshold": INDEXING_THRESHOLD,
    "flush_interval_sec": 5,
    "max_optimization_threads": None,
}
_HNSW: Json = {"m": 16, "ef_construct": 100, "full_scan_threshold": 10_000, "max_indexing_threads": 0, "on_disk": False}
_WAL: Json = {"wal_capacity_mb": 32, "wal_segments_ahead": 0}
_PARAMS = (
    "vectors",
    "sparse_vectors",
    "shard_number",
    "sharding_method",
    "replication_factor",
    "write_consistency_factor",
    "on_disk_payload",
    "payload",
    "id_tracker",
)
_PARAMS_DEFAULTS: Json = {
    "vectors": {},
    "shard_number": 1,
    "replication_factor": 1,
    "write_consistency_factor": 1,
    "on_disk_payload": True,
}


def describe(collection: Collection) -> Json:
    """Return status, counts, configuration with its defaults, and payload schema."""
    info = collection.read(lambda shard: shard.info())
    config = collection.config
    return {
        "status": "yellow" if collection.is_optimizing else "green",
        "optimizer_status": "ok",
        "indexed_vectors_count": info.indexed_vectors_count,
        "points_count": info.points_count,
        "segments_count": info.segments_count,
        "config": {
            "params": {**_PARAMS_DEFAULTS, **{name: config[name] for name in _PARAMS if config.get(name) is not None}},
            "hnsw_config": _over(_HNSW, config.get("hnsw_config")),
            "optimizer_config": _over(_OPTIMIZERS, config.get("optimizers_config")),
            "wal_config": _over(_WAL, config.get("wal_config")),
            "quantization_config": config.get("quantization_config"),
            "metadata": config.get("metadata"),
        },
        "payload_schema": {
            field: _index(schema, info.payload_schema[field].points if field in info.payload_schema else 0)
            for field, schema in collection.record["indexes"].items()
        },
    }


def _over(defaults: Json, own: Json | None) -> Json:
    return {**defaults, **{name: value for name, value in (own or {}).items() if value is not None}}


def _index(schema: object, points: int) -> Json:
    return {
        "data_type": schema_type(schema),
        "params": schema if isinstance(schema, dict) else None,
        "points": points,
    }
