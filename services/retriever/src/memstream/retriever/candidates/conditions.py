"""A caller's filter in Qdrant's terms."""

from typing import Any

from qdrant_client import models

from memstream.contracts.searches import Filter

_EXACT = 2**53
"""Up to here every whole number is a number of its own when it is written with a decimal point, as by 1.0 for 1."""

_KEYWORDS = ("conversation_id", "role", "speaker", "kind")


def conditions_of(wanted: Filter | None) -> models.Filter | None:
    """Translate a filter; all of its conditions must hold. None when there are none."""
    if wanted is None:
        return None
    must: list[models.Condition] = []
    if wanted.after is not None or wanted.before is not None:
        must.append(
            models.FieldCondition(key="occurred_at", range=models.DatetimeRange(gte=wanted.after, lt=wanted.before))
        )
    for name in _KEYWORDS:
        value = getattr(wanted, name)
        if value is not None:
            must.append(_equals(name, value))
    for key, value in (wanted.metadata or {}).items():
        # Quoted, so that a dot in a key is not a step into an object.
        must.append(_equals(f'metadata."{key}"', value))
    return models.Filter(must=must) if must else None


def _equals(key: str, value: Any) -> models.Condition:  # noqa: ANN401 - JSON scalars, or a list of them
    values = value if isinstance(value, list) else [value]
    if len(values) > 1 and all(isinstance(one, str) for one in values):
        return models.FieldCondition(key=key, match=models.MatchAny(any=values))
    each = [_matches(key, one) for one in values]
    if not each:
        # Equal to one of none: never. The server takes an empty either-or for no condition at all.
        return models.HasIdCondition(has_id=[])
    return each[0] if len(each) == 1 else models.Filter(should=each)


def _matches(key: str, value: str | float | bool) -> models.Condition:  # noqa: FBT001 - a JSON scalar
    if isinstance(value, float) or _is_a_float_too(value):
        # By range, since the server matches whole numbers with whole numbers only, and other ones not at all.
        number = float(value)
        return models.FieldCondition(key=key, range=models.Range(gte=number, lte=number))
    return models.FieldCondition(key=key, match=models.MatchValue(value=value))


def _is_a_float_too(value: object) -> bool:
    """Say whether this is a whole number that a decimal point would tell from every other number."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _EXACT
