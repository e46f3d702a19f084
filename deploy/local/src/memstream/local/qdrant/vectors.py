"""Vectors, from JSON to the engine's and back, checked against what the collection was made for."""

from __future__ import annotations  # the engine has its type aliases in its stub only

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import qdrant_edge as qe

from memstream.local.qdrant.documents import embed_asked, embed_stored, is_document
from memstream.local.qdrant.fields import Json, known, listing, required
from memstream.local.qdrant.refusals import invalid, malformed, unsupported, wrong

DEFAULT = ""  # the name of the one unnamed vector

_SPARSE = ("indices", "values")
_INFERENCE = ("image", "object")


@dataclass(frozen=True)
class Layout:
    """Which vectors a collection has: the dense ones with their dimensions, and the sparse ones by name."""

    dense: Mapping[str, int] = field(default_factory=dict)
    multi: frozenset[str] = frozenset()
    sparse: frozenset[str] = frozenset()

    def check(self, name: str) -> None:
        """Refuse a vector name that the collection does not have."""
        if name not in self.dense and name not in self.sparse:
            raise wrong(f"Not existing vector name error: {name}")

    @property
    def is_unnamed(self) -> bool:
        """Whether the only vector is the unnamed one, so that a point's vector is a plain list."""
        return not self.sparse and set(self.dense) == {DEFAULT}


def read_stored(value: object, layout: Layout, where: str) -> qe.Vector:
    """Translate the vectors of a point to be stored: a list, a list of lists, a text, or an object of those by name."""
    if isinstance(value, dict) and not is_document(value):
        return {name: _stored(each, name, layout, where) for name, each in value.items()}
    return {DEFAULT: _stored(value, DEFAULT, layout, where)}


def read_asked(value: object, where: str) -> qe.NamedVector:
    """Translate a vector that is searched for: dense, sparse, a list of lists, or a text."""
    if isinstance(value, list):
        return value
    if is_document(value):
        return embed_asked(value, where)  # type: ignore[arg-type] # is_document says that it is an object
    return _sparse(value, where)


def render(vector: Any, layout: Layout) -> object:  # noqa: ANN401 - lists, sparse vectors and dictionaries of them
    """Turn the engine's vectors into JSON values."""
    if isinstance(vector, dict):
        if layout.is_unnamed and DEFAULT in vector:
            return render(vector[DEFAULT], layout)
        return {name: render(each, layout) for name, each in vector.items()}
    if isinstance(vector, qe.SparseVector):
        return {"indices": vector.indices, "values": vector.values}
    return vector


def _stored(value: object, name: str, layout: Layout, where: str) -> qe.NamedVector:
    layout.check(name)
    at = f"{where}.{name}" if name else where
    if isinstance(value, list):
        _check_dimension(value, name, layout, at)
        return value
    if name in layout.dense:
        raise wrong(f"Wrong vector type: vector `{name}` is dense")
    if is_document(value):
        return embed_stored(value, at)  # type: ignore[arg-type] # is_document says that it is an object
    return _sparse(value, at)


def _check_dimension(vector: list[Any], name: str, layout: Layout, where: str) -> None:
    if name in layout.sparse:
        raise wrong(f"Wrong vector type: vector `{name}` is sparse")
    is_multi = bool(vector) and isinstance(vector[0], list)
    if is_multi and name not in layout.multi:
        raise wrong(f"Wrong vector type: vector `{name}` has one row per point")
    rows = vector if is_multi else [vector]
    expected = layout.dense[name]
    for row in rows:
        if not row:
            raise invalid(where, "an empty vector")
        if len(row) != expected:
            raise wrong(f"Vector dimension error: expected dim: {expected}, got {len(row)}")


def _sparse(value: object, where: str) -> qe.SparseVector:
    if isinstance(value, dict) and any(name in value for name in _INFERENCE):
        raise unsupported(f"inference of images and objects, in `{where}`")
    body: Json = known(value, _SPARSE, where)
    indices = listing(required(body, "indices", where), f"{where}.indices")
    values = listing(required(body, "values", where), f"{where}.values")
    if len(indices) != len(values):
        raise invalid(f"{where}.values", "must be the same length as indices")
    if len(set(indices)) != len(indices):
        raise invalid(f"{where}.indices", "must be unique")
    try:
        return qe.SparseVector(indices, values)
    except (TypeError, ValueError, OverflowError) as error:
        raise malformed(f"`{where}` is not a sparse vector: {error}") from error
