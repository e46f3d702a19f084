"""Metadata as keywords of one field, so that a filter on any of its keys has an index. Pure."""

from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any

from memstream.vectors.store.conditions import Condition, Conditions, MetadataIsOneOf, OneOf, Scalar

FIELD = "metadata_terms"
"""Of the payload: what `terms_of` returns."""

_BYTES = 12
"""Of a term. Two of a million terms are the same with a probability of 10⁻¹⁷."""
_LARGEST_EXACT = 2**53
"""Up to here every whole number has a floating-point number of its own."""
_LARGEST_FLOAT = 2**1023


def terms_of(metadata: Mapping[str, Any]) -> list[str]:
    """Return the terms of all scalars in metadata, and of all scalars in its lists."""
    found = [
        term
        for key, value in metadata.items()
        for each in (value if isinstance(value, list) else [value])
        if isinstance(each, str | bool | int | float)
        for term in _stored(key, each)
    ]
    return list(dict.fromkeys(found))


def with_terms(conditions: Conditions) -> list[Condition]:
    """Return the conditions, with those on metadata as conditions on its terms."""
    return [_on_terms(one) if isinstance(one, MetadataIsOneOf) else one for one in conditions]


def _on_terms(condition: MetadataIsOneOf) -> OneOf:
    return OneOf(FIELD, tuple(_term(condition.key, _asked(value)) for value in condition.values))


def _stored(key: str, value: Scalar) -> Iterator[str]:
    """Yield the terms that a stored value is found by: a large whole number also by the float that is nearest to it."""
    yield _term(key, _asked(value))
    if isinstance(value, int) and _is_large(value) and abs(value) < _LARGEST_FLOAT:
        yield _term(key, _asked(float(value)))


def _asked(value: Scalar) -> str:
    """Return the value as it is compared: 1 and 1.0 are equal, 1 and true and "1" are not."""
    if isinstance(value, str):
        return f"s{value}"
    if isinstance(value, bool):
        return f"b{value}"
    # Zero has two signs as a float.
    return f"i{value}" if _is_large(value) else f"f{float(value) + 0.0!r}"


def _is_large(value: Scalar) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) > _LARGEST_EXACT


def _term(key: str, value: str) -> str:
    # A zero byte is in no key, so that no two pairs are written alike.
    return blake2b(f"{key}\0{value}".encode("utf-8", "surrogatepass"), digest_size=_BYTES).hexdigest()
