"""A caller's filter as conditions of the store. Pure."""

from typing import TypeVar

from memstream.contracts.searches import Filter
from memstream.vectors.store import KEYWORDS, Condition, Conditions, MetadataIsOneOf, OneOf, Within

ValueT = TypeVar("ValueT")


def conditions_of(wanted: Filter | None) -> Conditions:
    """Return the conditions of a filter; all of them must hold. None of them when there is no filter."""
    if wanted is None:
        return ()
    conditions: list[Condition] = []
    if wanted.after is not None or wanted.before is not None:
        conditions.append(Within("occurred_at", wanted.after, wanted.before))
    for name in KEYWORDS:
        value: str | list[str] | None = getattr(wanted, name)
        if value is not None:
            conditions.append(OneOf(name, _each(value)))
    for key, values in (wanted.metadata or {}).items():
        conditions.append(MetadataIsOneOf(key, _each(values)))
    return conditions


def _each(value: ValueT | list[ValueT]) -> tuple[ValueT, ...]:
    return tuple(value) if isinstance(value, list) else (value,)
