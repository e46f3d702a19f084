"""A collection's configuration: read from JSON, kept as JSON, built for the engine, and reported to clients."""

from __future__ import annotations  # the engine has its type aliases in its stub only

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import qdrant_edge as qe

from memstream.local.qdrant.fields import Json, choice, flag, integer, known, number, optional, required, table
from memstream.local.qdrant.refusals import invalid, malformed, unsupported, wrong
from memstream.local.qdrant.vectors import DEFAULT, Layout

DISTANCES = {each: getattr(qe.Distance, each) for each in ("Cosine", "Euclid", "Dot", "Manhattan")}
DATATYPES = {
    "float32": qe.VectorStorageDatatype.Float32,
    "float16": qe.VectorStorageDatatype.Float16,
    "uint8": qe.VectorStorageDatatype.Uint8,
    "turbo8": qe.VectorStorageDatatype.Turbo8,
    "turbo16": qe.VectorStorageDatatype.Turbo16,
}
MEMORY = {"cold": qe.Memory.Cold, "cached": qe.Memory.Cached, "pinned": qe.Memory.Pinned}
MODIFIERS: dict[str, qe.Modifier | None] = {"none": None, "idf": qe.Modifier.Idf}
_ENCODINGS = {
    "one_bit": qe.BinaryQuantizationEncoding.OneBit,
    "two_bits": qe.BinaryQuantizationEncoding.TwoBits,
    "one_and_half_bits": qe.BinaryQuantizationEncoding.OneAndHalfBits,
}
_QUERY_ENCODINGS = {
    "default": qe.BinaryQuantizationQueryEncoding.Default,
    "binary": qe.BinaryQuantizationQueryEncoding.Binary,
    "scalar4bits": qe.BinaryQuantizationQueryEncoding.Scalar4Bits,
    "scalar8bits": qe.BinaryQuantizationQueryEncoding.Scalar8Bits,
}
_COMPRESSIONS = {each: getattr(qe.CompressionRatio, each.upper()) for each in ("x4", "x8", "x16", "x32", "x64")}
_TURBO_BITS = {
    name.lower(): getattr(qe.TurboQuantBitSize, name) for name in ("Bits1", "Bits1_5", "Bits2", "Bits4", "Bits8")
}

HNSW = ("m", "ef_construct", "full_scan_threshold", "max_indexing_threads", "on_disk", "memory", "payload_m")
HNSW_FIELDS = (*HNSW, "inline_storage")
OPTIMIZERS_FIELDS = (
    "deleted_threshold",
    "vacuum_min_vector_number",
    "default_segment_number",
    "max_segment_size",
    "memmap_threshold",
    "indexing_threshold",
    "flush_interval_sec",
    "max_optimization_threads",
    "prevent_unoptimized",
)
VECTOR_FIELDS = frozenset(
    ["size", "distance", "hnsw_config", "quantization_config", "on_disk", "memory", "datatype", "multivector_config"]
)
_SPARSE_FIELDS = ("index", "modifier")
_SPARSE_INDEX = ("full_scan_threshold", "on_disk", "memory", "datatype")
_HNSW_DEFAULTS: Json = {"m": 16, "ef_construct": 100, "full_scan_threshold": 10_000, "max_indexing_threads": 0}

MAX_SEGMENT = 100_000  # KB, if the client gives none
INDEXING_THRESHOLD = 0
"""KB of vectors from which on a segment gets HNSW graphs, if the client gives none. With 0 none are ever built.

A graph costs milliseconds of CPU a point, for every indexed payload field that the point has, and the engine holds
Python's interpreter lock meanwhile: ``upkeep`` has the figures. Without it a search compares with all the points that
its filter lets through, found by the payload index, and is exact.
"""

_T = TypeVar("_T")


def option(body: Json, name: str, options: dict[str, _T]) -> _T | None:
    """Read a field that holds one of some words, and may be missing or null."""
    return None if body.get(name) is None else choice(body[name], options, name)


def by_name(vectors: object, where: str = "vectors") -> dict[str, Json]:
    """Read the vectors of a configuration: one unnamed, or several by name."""
    if vectors is None:
        return {}
    body = table(vectors, where)
    if "size" in body and not isinstance(body["size"], dict):
        return {DEFAULT: body}
    return {name: table(each, f"{where}.{name}") for name, each in body.items()}


def layout_of(config: Json) -> Layout:
    """Return which vectors a configuration has."""
    dense = by_name(config.get("vectors"))
    return Layout(
        dense={name: each["size"] for name, each in dense.items()},
        multi=frozenset(name for name, each in dense.items() if each.get("multivector_config")),
        sparse=frozenset(config.get("sparse_vectors") or {}),
    )


def build(config: Json) -> qe.EdgeConfig:
    """Build the engine's configuration; refuses what the engine would not take."""
    overlap = set(by_name(config.get("vectors"))) & set(config.get("sparse_vectors") or {})
    if overlap:
        raise wrong(f"the same name for a dense and a sparse vector: {', '.join(sorted(overlap))}")
    if not config.get("vectors") and not config.get("sparse_vectors"):
        raise unsupported("a collection without any vectors")
    hnsw = config.get("hnsw_config") or {}
    return qe.EdgeConfig(
        vectors={
            name: dense_params(each, hnsw, f"vectors.{name}") for name, each in by_name(config.get("vectors")).items()
        },
        sparse_vectors={
            name: sparse_params(each, f"sparse_vectors.{name}")
            for name, each in (config.get("sparse_vectors") or {}).items()
        },
        on_disk_payload=optional(flag, config, "on_disk_payload"),
        payload_memory=_placement(config, "payload"),
        id_tracker_memory=_placement(config, "id_tracker"),
        hnsw_config=_hnsw(hnsw, "hnsw_config"),
        quantization_config=optional(_quantization, config, "quantization_config"),
        optimizers=_optimizers(config.get("optimizers_config") or {}),
        wal_enabled=True,
    )


def dense_params(body: Json, base_hnsw: Json, where: str) -> qe.EdgeVectorParams:
    """Build the parameters of a dense vector; its own HNSW settings go over the collection's."""
    known(body, VECTOR_FIELDS, where)
    own = body.get("hnsw_config")
    multi = body.get("multivector_config")
    return qe.EdgeVectorParams(
        size=integer(required(body, "size", where), f"{where}.size", 1),
        distance=choice(required(body, "distance", where), DISTANCES, f"{where}.distance"),
        on_disk=optional(flag, body, "on_disk"),
        memory=option(body, "memory", MEMORY),
        datatype=option(body, "datatype", DATATYPES),
        quantization_config=optional(_quantization, body, "quantization_config"),
        hnsw_config=None if not own else _hnsw({**base_hnsw, **own}, f"{where}.hnsw_config"),
        multivector_config=None if multi is None else multivector(multi, f"{where}.multivector_config"),
    )


def multivector(value: object, where: str) -> qe.MultiVectorConfig:
    """Build the parameters of a vector that has several rows per point."""
    body = known(value, ("comparator",), where)
    return qe.MultiVectorConfig(
        choice(required(body, "comparator", where), {"max_sim": qe.MultiVectorComparator.MaxSim}, where)
    )


def sparse_params(value: object, where: str) -> qe.EdgeSparseVectorParams:
    """Build the parameters of a sparse vector."""
    body = known(value or {}, _SPARSE_FIELDS, where)
    index = known(body.get("index") or {}, _SPARSE_INDEX, f"{where}.index")
    return qe.EdgeSparseVectorParams(
        full_scan_threshold=optional(integer, index, "full_scan_threshold"),
        on_disk=optional(flag, index, "on_disk"),
        memory=option(index, "memory", MEMORY),
        datatype=option(index, "datatype", DATATYPES),
        modifier=option(body, "modifier", MODIFIERS),
    )


def _placement(config: Json, name: str) -> qe.Memory | None:
    return option(known(config.get(name) or {}, ("memory",), name), "memory", MEMORY)


def _hnsw(value: Json, where: str) -> qe.HnswIndexConfig:
    body = {
        **_HNSW_DEFAULTS,
        **{name: each for name, each in known(value, HNSW_FIELDS, where).items() if each is not None},
    }
    if body["ef_construct"] < 4:  # noqa: PLR2004 - the least that Qdrant takes
        raise invalid(f"{where}.ef_construct", f"value {body['ef_construct']} invalid, must be 4 or larger")
    return qe.HnswIndexConfig(
        m=integer(body["m"], f"{where}.m"),
        ef_construct=integer(body["ef_construct"], f"{where}.ef_construct"),
        full_scan_threshold=integer(body["full_scan_threshold"], f"{where}.full_scan_threshold"),
        max_indexing_threads=integer(body["max_indexing_threads"], f"{where}.max_indexing_threads"),
        on_disk=optional(flag, body, "on_disk"),
        payload_m=optional(integer, body, "payload_m"),
        inline_storage=optional(flag, body, "inline_storage"),
        memory=option(body, "memory", MEMORY),
    )


def _optimizers(value: Json) -> qe.EdgeOptimizersConfig:
    body = known(value, OPTIMIZERS_FIELDS, "optimizers_config")
    return qe.EdgeOptimizersConfig(
        deleted_threshold=optional(number, body, "deleted_threshold"),
        vacuum_min_vector_number=optional(integer, body, "vacuum_min_vector_number"),
        default_segment_number=optional(integer, body, "default_segment_number"),
        max_segment_size=optional(integer, body, "max_segment_size") or MAX_SEGMENT,
        indexing_threshold=indexing_threshold(body),
        prevent_unoptimized=optional(flag, body, "prevent_unoptimized"),
    )


def indexing_threshold(optimizers: Json) -> int:
    """Return the KB of vectors from which on a segment gets graphs."""
    threshold = optional(integer, optimizers, "indexing_threshold")
    return INDEXING_THRESHOLD if threshold is None else threshold


def _quantization(value: object, where: str) -> qe.QuantizationConfigType:
    body = known(value, _QUANTIZATIONS, where)
    if len(body) != 1:
        raise malformed(f"`{where}` must have exactly one of {', '.join(_QUANTIZATIONS)}")
    ((kind, settings),) = body.items()
    allowed, read = _QUANTIZATIONS[kind]
    inner = known(settings, (*allowed, "always_ram", "memory"), f"{where}.{kind}")
    placement: Json = {"always_ram": optional(flag, inner, "always_ram"), "memory": option(inner, "memory", MEMORY)}
    return read(inner, placement)


def _scalar(body: Json, placement: Json) -> qe.QuantizationConfigType:
    kind = choice(required(body, "type", "scalar"), {"int8": qe.ScalarType.Int8}, "scalar.type")
    return qe.ScalarQuantizationConfig(kind, quantile=optional(number, body, "quantile"), **placement)


def _product(body: Json, placement: Json) -> qe.QuantizationConfigType:
    ratio = choice(required(body, "compression", "product"), _COMPRESSIONS, "product.compression")
    return qe.ProductQuantizationConfig(ratio, **placement)


def _binary(body: Json, placement: Json) -> qe.QuantizationConfigType:
    return qe.BinaryQuantizationConfig(
        encoding=option(body, "encoding", _ENCODINGS),
        query_encoding=option(body, "query_encoding", _QUERY_ENCODINGS),
        **placement,
    )


def _turbo(body: Json, placement: Json) -> qe.QuantizationConfigType:
    return qe.TurboQuantQuantizationConfig(bits=option(body, "bits", _TURBO_BITS), **placement)


_Reader: TypeAlias = "Callable[[Json, dict[str, Any]], qe.QuantizationConfigType]"
_QUANTIZATIONS: dict[str, tuple[tuple[str, ...], _Reader]] = {
    "scalar": (("type", "quantile"), _scalar),
    "product": (("compression",), _product),
    "binary": (("encoding", "query_encoding"), _binary),
    "turbo": (("bits",), _turbo),
}


def refuse_strict_mode(config: Json) -> None:
    """Refuse limits that nothing here would hold anyone to."""
    strict = config.get("strict_mode_config")
    if strict is not None and table(strict, "strict_mode_config").get("enabled"):
        raise unsupported("`strict_mode_config` with `enabled`")
