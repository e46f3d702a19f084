"""Vectors: from JSON to the engine's types and back, checked against the collection's vector schema."""

from __future__ import annotations  # the engine has its type aliases in its stub only

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import qdrant_edge as qe

from memstream.local.qdrant.bm25 import embed_passage, embed_query, is_document
from memstream.local.qdrant.errors import invalid, malformed, wrong_input
from memstream.local.qdrant.json_fields import array, json_object, required, strict_object

_SPARSE = ("indices", "values")


@dataclass(frozen=True)
class VectorSchema:
    """The named vectors of a collection: the dense ones with their dimensions, and the sparse ones."""

    dense: Mapping[str, int] = field(default_factory=dict)
    sparse: frozenset[str] = frozenset()

    def check(self, name: str) -> None:
        """Raise an error if the collection has no vector of that name."""
        if name not in self.dense and name not in self.sparse:
            raise wrong_input(f"Not existing vector name error: {name}")


def read_point_vectors(value: object, schema: VectorSchema, where: str) -> dict[str, qe.NamedVector]:
    """Return the vectors of a point to store, from an object of lists, sparse vectors and texts by name."""
    return {name: _stored(each, name, schema, f"{where}.{name}") for name, each in json_object(value, where).items()}


def read_query_vector(value: object, where: str) -> qe.NamedVector:
    """Return the vector to search for, from a list, a sparse vector or a text."""
    if isinstance(value, list):
        return value
    if is_document(value):
        return embed_query(value, where)  # type: ignore[arg-type] # is_document says that it is an object
    return _sparse(value, where)


def to_json(vector: Any) -> object:  # noqa: ANN401 - lists, sparse vectors and dictionaries of them
    """Return the engine's vectors as JSON values."""
    if isinstance(vector, dict):
        return {name: to_json(each) for name, each in vector.items()}
    if isinstance(vector, qe.SparseVector):
        return {"indices": vector.indices, "values": vector.values}
    return vector


def _stored(value: object, name: str, schema: VectorSchema, where: str) -> qe.NamedVector:
    schema.check(name)
    if isinstance(value, list):
        _check_dimensions(value, name, schema, where)
        return value
    if name in schema.dense:
        raise wrong_input(f"Wrong vector type: vector `{name}` is dense")
    if is_document(value):
        return embed_passage(value, where)  # type: ignore[arg-type] # is_document says that it is an object
    return _sparse(value, where)


def _check_dimensions(vector: list[Any], name: str, schema: VectorSchema, where: str) -> None:
    if name in schema.sparse:
        raise wrong_input(f"Wrong vector type: vector `{name}` is sparse")
    if not vector:
        raise invalid(where, "an empty vector")
    if isinstance(vector[0], list):
        raise wrong_input(f"Wrong vector type: vector `{name}` has one row per point")
    expected = schema.dense[name]
    if len(vector) != expected:
        raise wrong_input(f"Vector dimension error: expected dim: {expected}, got {len(vector)}")


def _sparse(value: object, where: str) -> qe.SparseVector:
    body = strict_object(value, _SPARSE, where)
    indices = array(required(body, "indices", where), f"{where}.indices")
    values = array(required(body, "values", where), f"{where}.values")
    if len(indices) != len(values):
        raise invalid(f"{where}.values", "must be the same length as indices")
    if len(set(indices)) != len(indices):
        raise invalid(f"{where}.indices", "must be unique")
    try:
        return qe.SparseVector(indices, values)
    except (TypeError, ValueError, OverflowError) as error:
        raise malformed(f"`{where}` is not a sparse vector: {error}") from error
