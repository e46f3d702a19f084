"""A caller's filter in Qdrant's terms, and the one function that narrows every query down to an owner."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from memstream.contracts.searches import Filter
from memstream.retriever.candidates.conditions import conditions_of
from memstream.vectors.store import Expiry, owner_of
from memstream.vectors.store.qdrant.filters import owned

ANA = owner_of("acme", "ana")
DAY = datetime(2026, 3, 1, tzinfo=UTC)
EXPIRY = Expiry(DAY, DAY - timedelta(days=30))
UNEXPIRED = [
    {"key": "expires_at", "range": {"lte": "2026-03-01T00:00:00+00:00"}},
    {"key": "recorded_at", "range": {"lt": "2026-01-30T00:00:00+00:00"}},
]
"""What must not hold, in every query."""


def translated(wanted: Filter) -> Any:  # noqa: ANN401 - any JSON
    """Return the caller's part of the filter that Qdrant is sent."""
    narrowed = owned(ANA, EXPIRY, conditions_of(wanted)).model
    as_json = json.loads(narrowed.model_dump_json(exclude_none=True))
    assert set(as_json) == {"must", "must_not"}
    assert len(as_json.pop("must_not")) == len(UNEXPIRED)
    assert as_json["must"].pop(0) == {"key": "owner", "match": {"value": "acme/ana"}}
    return as_json


@pytest.mark.parametrize("wanted", [None, Filter(), Filter(metadata={})])
def test_no_conditions_are_no_filter(wanted: Filter | None) -> None:
    assert conditions_of(wanted) in ((), [])


def test_after_includes_its_time_and_before_does_not() -> None:
    assert translated(Filter(after=DAY, before=DAY)) == {
        "must": [{"key": "occurred_at", "range": {"gte": "2026-03-01T00:00:00Z", "lt": "2026-03-01T00:00:00Z"}}]
    }


@pytest.mark.parametrize("field", ["conversation_id", "role", "speaker", "kind"])
def test_a_label_must_be_equal(field: str) -> None:
    assert translated(Filter.model_validate({field: "Zoë"})) == {"must": [{"key": field, "match": {"value": "Zoë"}}]}


def test_one_of_several_labels_is_enough() -> None:
    one_of = {"key": "role", "match": {"any": ["user", "assistant"]}}

    assert translated(Filter(role=["user", "assistant"])) == {"must": [one_of]}


def test_values_of_several_kinds_are_compared_one_by_one() -> None:
    key = 'metadata."a"'
    each = [{"key": key, "match": {"value": "x"}}, {"key": key, "range": {"gte": 1.0, "lte": 1.0}}]

    assert translated(Filter(metadata={"a": ["x", 1]})) == {"must": [{"should": each}]}


@pytest.mark.parametrize("value", [2**53 + 1, -(2**53) - 1, 2**63 - 1, True, False])
def test_what_a_number_with_a_decimal_point_cannot_tell_apart_is_matched_as_it_is(value: int) -> None:
    found = translated(Filter(metadata={"a": value}))

    assert found == {"must": [{"key": 'metadata."a"', "match": {"value": value}}]}


@pytest.mark.parametrize("wanted", [{"role": []}, {"metadata": {"k": []}}])
def test_equal_to_one_of_none_is_never(wanted: dict[str, Any]) -> None:
    assert translated(Filter.model_validate(wanted)) == {"must": [{"has_id": []}]}


def test_all_conditions_must_hold() -> None:
    found = translated(Filter(after=DAY, role="user", kind=["a", "b"], metadata={"x": 1, "y": 2}))

    assert len(found["must"]) == 5
    assert set(found) == {"must"}


@pytest.mark.parametrize("value", ["text", True, False, -(2**63), 2**63 - 1])
def test_a_metadata_value_must_be_equal_and_of_its_type(value: object) -> None:
    (condition,) = translated(Filter.model_validate({"metadata": {"k": value}}))["must"]

    assert condition == {"key": 'metadata."k"', "match": {"value": value}}
    assert type(condition["match"]["value"]) is type(value)


def test_a_float_is_matched_by_a_range() -> None:
    assert translated(Filter(metadata={"k": 0.5})) == {
        "must": [{"key": 'metadata."k"', "range": {"gte": 0.5, "lte": 0.5}}]
    }


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 10**30])
def test_an_integer_beyond_64_bits_is_matched_as_a_float(value: int) -> None:
    (condition,) = translated(Filter(metadata={"k": value}))["must"]

    assert condition["range"] == {"gte": float(value), "lte": float(value)}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [0.5, float("-inf")]])
def test_what_is_no_number_is_refused_with_its_key(value: float | list[str | int | float | bool]) -> None:
    with pytest.raises(ValidationError, match="finite number"):
        Filter(metadata={"k": value})


def test_an_integer_beyond_every_float_is_refused() -> None:
    with pytest.raises(ValidationError):
        Filter(metadata={"k": 10**400})


@pytest.mark.parametrize("key", ["a.b", "a[0]", "a[]", " ", "Zoë 👍"])
def test_a_metadata_key_is_one_step_whatever_it_holds(key: str) -> None:
    (condition,) = translated(Filter(metadata={key: 1}))["must"]

    assert condition["key"] == f'metadata."{key}"'


def test_no_value_of_a_filter_takes_the_owners_place() -> None:
    hostile = Filter(role=["user", "assistant"], metadata={"owner": "acme/bob"}, speaker='"} , {"must_not": []}')
    narrowed = owned(ANA, EXPIRY, conditions_of(hostile))

    as_json = json.loads(orjson.dumps(narrowed.json))
    assert as_json["must"][0] == {"key": "owner", "match": {"value": "acme/ana"}}
    assert set(as_json) == {"must", "must_not"}
    assert len(as_json["must"]) == 4
    assert as_json["must_not"] == UNEXPIRED


def test_alternatives_stand_beside_the_owner_not_among_them() -> None:
    narrowed = owned(ANA, EXPIRY, either=[{"has_id": []}, {"has_id": ["7"]}])

    assert json.loads(orjson.dumps(narrowed.json)) == {
        "must": [{"key": "owner", "match": {"value": "acme/ana"}}, {"should": [{"has_id": []}, {"has_id": ["7"]}]}],
        "must_not": UNEXPIRED,
    }
