"""Terms of metadata: a filter on a key finds what it says, and nothing else."""

from typing import Any

import pytest

from memstream.vectors.store.conditions import FirstChunk, MetadataIsOneOf, OneOf
from memstream.vectors.store.metadata_terms import FIELD, terms_of, with_terms


def finds(stored: object, *asked: Any) -> bool:  # noqa: ANN401 - what JSON holds
    """Say whether a filter on a key finds a message with this value."""
    (condition,) = with_terms([MetadataIsOneOf("key", asked)])
    assert isinstance(condition, OneOf)
    assert condition.field == FIELD
    return bool(set(condition.values).intersection(terms_of({"key": stored, "other": "x"})))


@pytest.mark.parametrize(
    ("stored", "asked"),
    [
        ("x", "x"),
        ("", ""),
        (1, 1.0),
        (1.0, 1),
        (0.0, -0.0),
        (True, True),
        (["x", 1, None, [2]], "x"),
        (["x", 1, None, [2]], 1),
        (2**60 + 1, 2**60 + 1),
        (2**60 + 1, float(2**60)),
        (10**400, 10**400),
    ],
)
def test_a_value_is_found_by_what_equals_it(stored: object, asked: object) -> None:
    assert finds(stored, asked)
    assert finds(stored, "something else", asked)


@pytest.mark.parametrize(
    ("stored", "asked"),
    [
        ("x", "X"),
        ("1", 1),
        (1, True),
        (True, 1),
        ("True", True),
        (2**60 + 1, 2**60 + 2),
        ([[2]], 2),
        ({"a": "x"}, "x"),
        (None, ""),
    ],
)
def test_a_value_is_not_found_by_what_only_looks_like_it(stored: object, asked: object) -> None:
    assert not finds(stored, asked)


def test_keys_are_part_of_a_term_and_other_conditions_stay() -> None:
    assert set(terms_of({"a": "bc"})).isdisjoint(terms_of({"ab": "c"}))
    assert with_terms([FirstChunk(), MetadataIsOneOf("key", ())]) == [FirstChunk(), OneOf(FIELD, ())]
