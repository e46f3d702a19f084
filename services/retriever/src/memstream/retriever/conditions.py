"""A caller's filter in Qdrant's terms."""

import math
from typing import Any

from qdrant_client import models

from memstream.contracts.searches import Filter
from memstream.runtime.errors import Invalid

_KEYWORDS = ("conversation_id", "role", "speaker", "kind")
_LOWEST = -(2**63)
_HIGHEST = 2**63 - 1


def conditions_of(wanted: Filter | None) -> models.Filter | None:
    """Translate a filter; all of its conditions must hold. None when there are none.

    Raises:
        Invalid: a value can't be compared with anything.

    """
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
    each = [_matches(key, one) for one in values]
    if not each:
        # Equal to one of none: never. The server takes an empty either-or for no condition at all.
        return models.HasIdCondition(has_id=[])
    return each[0] if len(each) == 1 else models.Filter(should=each)


def _matches(key: str, value: str | float | bool) -> models.Condition:  # noqa: FBT001 - a JSON scalar
    if isinstance(value, float) and not math.isfinite(value):
        raise Invalid(
            "filter.metadata", f"{key.removeprefix('metadata.')} is compared with {value}, which is no number"
        )
    if isinstance(value, float) or (isinstance(value, int) and not _LOWEST <= value <= _HIGHEST):
        # The server matches floats by range only, and what is no 64-bit integer is a float to it.
        return models.FieldCondition(key=key, range=models.Range(gte=float(value), lte=float(value)))
    return models.FieldCondition(key=key, match=models.MatchValue(value=value))
