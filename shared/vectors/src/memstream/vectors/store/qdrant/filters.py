"""Conditions in Qdrant's terms, always narrowed down to one owner. Pure."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from qdrant_client import models

from memstream.contracts.keys import Position
from memstream.vectors.store.conditions import At, Condition, FirstChunk, MetadataIsOneOf, OneOf, Scalar, Within
from memstream.vectors.store.owners import Owner

_LARGEST_EXACT = 2**53
"""Up to here every whole number has a floating-point number of its own."""

_Json = Mapping[str, Any]

_NEVER: _Json = {"has_id": []}
"""Holds for no point. Qdrant takes an empty either-or for no condition at all."""


class OwnedFilter(ABC):
    """A filter that is narrowed down to one owner. Only `owned` makes one; every query of the collection takes one."""

    __slots__ = ()

    @property
    @abstractmethod
    def json(self) -> orjson.Fragment:
        """The filter as JSON, to be put into a request's body."""

    @property
    @abstractmethod
    def model(self) -> models.Filter:
        """The filter as the client takes it."""


def owned(owner: Owner, conditions: Sequence[Condition] = (), *, either: Sequence[_Json] = ()) -> OwnedFilter:
    """Return the filter for an owner's points for which all conditions hold, and one of `either` if there are any."""
    must: list[_Json] = [_is("owner", owner.name), *(_written(condition) for condition in conditions)]
    if either:
        must.append({"should": list(either)})
    body = {"must": must}
    return _OwnedFilter(body, orjson.Fragment(orjson.dumps(body)))


@dataclass(frozen=True, slots=True)
class _OwnedFilter(OwnedFilter):
    body: _Json
    fragment: orjson.Fragment

    @property
    def json(self) -> orjson.Fragment:
        return self.fragment

    @property
    def model(self) -> models.Filter:
        return models.Filter.model_validate(self.body)


def until_entry(position: Position) -> _Json:
    """Return the condition that a point comes from an entry up to a position.

    Entries of the other lane are compared by their milliseconds, and one of the same millisecond counts as earlier.
    """
    milliseconds, sequence = position.order
    appended: _Json = {"key": "entry_ms", "range": {"lte": milliseconds}}
    if position.lane != "live":
        return appended
    later_in_same = [
        {"key": "entry_ms", "range": {"gte": milliseconds}},
        {"key": "entry_seq", "range": {"gt": sequence}},
    ]
    return {"must": [appended], "must_not": [{"must": later_in_same}]}


def with_ids(points: Sequence[str], *conditions: _Json) -> _Json:
    """Return the condition that a point has one of these ids, and that these conditions hold."""
    return {"must": [{"has_id": points}, *conditions]}


def not_after(milliseconds: int) -> _Json:
    """Return the filter for points that come from entries up to a time, or from none that is known."""
    return {"must_not": [{"key": "entry_ms", "range": {"gt": milliseconds}}]}


def _written(condition: Condition) -> _Json:
    match condition:
        case OneOf(field, values):
            return _one_of(field, values)
        case MetadataIsOneOf(key, values):
            # Quoted, so that a dot in a key is not a step into an object.
            return _one_of(f'metadata."{key}"', values)
        case Within(field, start, end):
            bounds = {"gte": start, "lt": end}
            return {"key": field, "range": {name: _time(time) for name, time in bounds.items() if time is not None}}
        case At(field, time):
            return {"key": field, "range": {"gte": _time(time), "lte": _time(time)}}
        case FirstChunk():
            return _is("chunk", 0)


def _one_of(key: str, values: Sequence[Scalar]) -> _Json:
    if not values:
        return _NEVER
    if len(values) > 1 and all(isinstance(value, str) for value in values):
        return {"key": key, "match": {"any": list(values)}}
    each = [_is(key, value) for value in values]
    return each[0] if len(each) == 1 else {"should": each}


def _is(key: str, value: Scalar) -> _Json:
    if key.startswith("metadata.") and (isinstance(value, float) or _has_a_float(value)):
        # By range, since Qdrant matches whole numbers with whole numbers only, and other numbers not at all.
        number = float(value)
        return {"key": key, "range": {"gte": number, "lte": number}}
    return {"key": key, "match": {"value": value}}


def _has_a_float(value: Scalar) -> bool:
    """Return whether this is a whole number that equals exactly one floating-point number."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _LARGEST_EXACT


def _time(time: datetime) -> str:
    return time.isoformat()
