"""What a collection tells about itself: ``GET /collections/{name}``."""

from memstream.local.qdrant.collection import Collection
from memstream.local.qdrant.configuration import (
    COPIES,
    DELETED_THRESHOLD,
    HNSW_DEFAULTS,
    INDEXING_THRESHOLD,
    MAX_SEGMENT_SIZE,
    VACUUM_MIN_VECTOR_NUMBER,
)
from memstream.local.qdrant.indexes import schema_type
from memstream.local.qdrant.json_fields import Json

_OPTIMIZERS: Json = {
    "deleted_threshold": DELETED_THRESHOLD,
    "vacuum_min_vector_number": VACUUM_MIN_VECTOR_NUMBER,
    "default_segment_number": 0,
    "max_segment_size": MAX_SEGMENT_SIZE,
    "indexing_threshold": INDEXING_THRESHOLD,
    "flush_interval_sec": 5,
}


def describe(collection: Collection) -> Json:
    """Return status, counts, configuration with its defaults, and payload indexes."""
    info = collection.read(lambda shard: shard.info())
    config = collection.config
    vectors, sparse_vectors = config.get("vectors") or {}, config.get("sparse_vectors") or {}
    return {
        "status": "yellow" if collection.is_optimizing else "green",
        "optimizer_status": "ok",
        "indexed_vectors_count": info.indexed_vectors_count,
        "points_count": info.points_count,
        "segments_count": info.segments_count,
        "config": {
            "params": {
                "vectors": vectors,
                "sparse_vectors": sparse_vectors,
                **{name: config.get(name, 1) for name in COPIES},
            },
            "hnsw_config": {**HNSW_DEFAULTS, **(config.get("hnsw_config") or {})},
            "optimizer_config": _OPTIMIZERS,
            **{name: config[name] for name in ("metadata", "strict_mode_config") if config.get(name)},
        },
        "payload_schema": {
            field: _index(schema, info.payload_schema[field].points if field in info.payload_schema else 0)
            for field, schema in collection.record["indexes"].items()
        },
    }


def _index(schema: object, points: int) -> Json:
    return {
        "data_type": schema_type(schema),
        "params": schema if isinstance(schema, dict) else None,
        "points": points,
    }
