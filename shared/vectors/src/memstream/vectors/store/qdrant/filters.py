"""Conditions in Qdrant's terms, always narrowed down to one owner. Pure."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from qdrant_client import models

from memstream.contracts.keys import Position
from memstream.vectors.store.conditions import At, Condition, FirstChunk, MetadataIsOneOf, OneOf, Scalar, Within
from memstream.vectors.store.expiry import EndedBy, Expiry, RecordedBefore, Sweepable
from memstream.vectors.store.owners import Owner

_LARGEST_EXACT = 2**53
"""Up to here every whole number has a floating-point number of its own."""

_Json = Mapping[str, Any]

_NEVER: _Json = {"has_id": []}
"""Holds for no point. Qdrant takes an empty either-or for no condition at all."""


class _QdrantFilter(ABC):
    """A filter in both of its forms."""

    __slots__ = ()

    @property
    @abstractmethod
    def json(self) -> orjson.Fragment:
        """The filter as JSON, to be put into a request's body."""

    @property
    @abstractmethod
    def model(self) -> models.Filter:
        """The filter as the client takes it."""


class OwnedFilter(_QdrantFilter):
    """A filter for one owner's points that have not expired. Only `owned` makes one; whatever reads takes one."""

    __slots__ = ()


class DeletionFilter(_QdrantFilter):
    """A filter for points to delete, expired or not. Only `deleted` and `expired` make one."""

    __slots__ = ()


class CorpusFilter(_QdrantFilter):
    """A filter for one owner's points, among which terms are rare or common. Only `corpus_of` makes one."""

    __slots__ = ()


class CountFilter(_QdrantFilter):
    """A filter for points to count. Only `of_tenant` and `messages_until` make one."""

    __slots__ = ()


def owned(
    owner: Owner, expiry: Expiry, conditions: Sequence[Condition] = (), *, either: Sequence[_Json] = ()
) -> OwnedFilter:
    """Return the filter for an owner's points that have not expired and meet all conditions, and one of `either`."""
    must = [_is("owner", owner.name), *(_written(condition) for condition in conditions)]
    # As what must not hold: points of before the field have no end of their own, and so they need none.
    return _OwnedFilter(*_forms({"must": [*must, *_one_of_these(either)], "must_not": list(_expired(expiry))}))


def deleted(owner: Owner, *, either: Sequence[_Json]) -> DeletionFilter:
    """Return the filter for those of an owner's points for which one of `either` holds."""
    return _DeletionFilter(*_forms({"must": [_is("owner", owner.name), *_one_of_these(either)]}))


def expired(which: Sweepable, points: Sequence[str] | None = None) -> DeletionFilter:
    """Return the filter for points that have expired; `points` narrows it to those."""
    must: list[_Json] = []
    match which:
        case EndedBy(now):
            must += _expired(Expiry(now))
        case RecordedBefore(time, tenants, others):
            must += [{"key": "recorded_at", "range": {"lt": _time(time)}}]
            must += [{"key": "tenant", "match": {"except" if others else "any": list(tenants)}}]
    if points is not None:
        must.append({"has_id": list(points)})
    return _DeletionFilter(*_forms({"must": must}))


def corpus_of(owner: Owner) -> CorpusFilter:
    """Return the filter for all of an owner's points.

    Until they are swept, expired ones count for how rare a term is; to leave them out would cost a fifth of a search.
    """
    return _CorpusFilter(*_forms({"must": [_is("owner", owner.name)]}))


def of_tenant(tenant: str) -> CountFilter:
    """Return the filter for the first chunks of all messages of a tenant."""
    return _CountFilter(*_forms({"must": [_is("tenant", tenant), _written(FirstChunk())]}))


def messages_until(owner: Owner, until: Position) -> CountFilter:
    """Return the filter for the first chunks of an owner's messages from entries up to a position, expired or not."""
    must = [_is("owner", owner.name), _written(FirstChunk()), until_entry(until)]
    return _CountFilter(*_forms({"must": must}))


def _expired(expiry: Expiry) -> Iterator[_Json]:
    yield {"key": "expires_at", "range": {"lte": _time(expiry.now)}}
    if expiry.recorded_since is not None:
        yield {"key": "recorded_at", "range": {"lt": _time(expiry.recorded_since)}}


def _one_of_these(either: Sequence[_Json]) -> list[_Json]:
    return [{"should": list(either)}] if either else []


def _forms(body: _Json) -> tuple[_Json, orjson.Fragment]:
    return body, orjson.Fragment(orjson.dumps(body))


@dataclass(frozen=True, slots=True)
class _Forms(_QdrantFilter):
    body: _Json
    fragment: orjson.Fragment

    @property
    def json(self) -> orjson.Fragment:
        return self.fragment

    @property
    def model(self) -> models.Filter:
        return models.Filter.model_validate(self.body)


class _OwnedFilter(_Forms, OwnedFilter):
    __slots__ = ()


class _DeletionFilter(_Forms, DeletionFilter):
    __slots__ = ()


class _CorpusFilter(_Forms, CorpusFilter):
    __slots__ = ()


class _CountFilter(_Forms, CountFilter):
    __slots__ = ()


def until_entry(position: Position) -> _Json:
    """Return the condition that a point comes from an entry up to a position, in either lane."""
    milliseconds, sequence = position.order
    appended: _Json = {"key": "entry_ms", "range": {"lte": milliseconds}}
    later_in_same = [
        {"key": "entry_ms", "range": {"gte": milliseconds}},
        {"key": "entry_seq", "range": {"gt": sequence}},
    ]
    return {"must": [appended], "must_not": [{"must": later_in_same}]}


def is_first_chunk() -> _Json:
    """Return the condition that a point is the first chunk of a message."""
    return _written(FirstChunk())


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
