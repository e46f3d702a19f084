"""What the retriever takes as a question, and what it refuses."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from memstream.contracts.limits import Limits
from memstream.contracts.searches import SearchBatchIn, SearchIn, SimilarityIn


def taken(**fields: Any) -> SearchIn:  # noqa: ANN401 - any JSON
    """Read a question as it comes over HTTP; what isn't given is fine."""
    return SearchIn.model_validate_json(json.dumps({"user_id": "ana", "query": "keys?", **fields}))


def refused(**fields: Any) -> str:  # noqa: ANN401 - any JSON
    """Give the first reason for which a question is refused, after its field."""
    with pytest.raises(ValidationError) as caught:
        taken(**fields)
    fault = caught.value.errors()[0]
    return f"{'.'.join(map(str, fault['loc']))}: {fault['msg'].removeprefix('Value error, ')}"


def test_user_and_query_are_enough() -> None:
    search = taken()

    assert (search.limit, search.mode, search.min_relevance, search.filter, search.wait_for) == (
        *(10, "hybrid", None, None, None),
    )


@pytest.mark.parametrize("limit", [1, 100])
def test_a_limit_of_1_to_100_is_taken(limit: int) -> None:
    assert taken(limit=limit).limit == limit


@pytest.mark.parametrize("limit", [0, 101, -1, 2**70])
def test_a_limit_out_of_range_is_refused(limit: int) -> None:
    assert refused(limit=limit) == f"limit: is {limit}, it takes 1 to 100"


@pytest.mark.parametrize("limit", ["10", 10.0, True, None])
def test_a_limit_that_is_no_integer_is_refused(limit: object) -> None:
    assert refused(limit=limit).startswith("limit: Input should be a valid integer")


def test_the_largest_limit_is_the_one_that_validation_is_given() -> None:
    with pytest.raises(ValidationError, match="it takes 1 to 5"):
        SearchIn.model_validate({"user_id": "a", "query": "b", "limit": 6}, context={"limits": Limits(search_limit=5)})


@pytest.mark.parametrize("query", ["", "  ", "a\0", "a" * 65_537, 1, None])
def test_a_query_that_cannot_be_asked_is_refused(query: object) -> None:
    assert refused(query=query).startswith("query: ")


@pytest.mark.parametrize("user_id", ["", "*", "a\n", "a" * 257, 1, None])
def test_a_user_that_cannot_be_is_refused(user_id: object) -> None:
    assert refused(user_id=user_id).startswith("user_id: ")


@pytest.mark.parametrize("mode", ["fuzzy", "", "HYBRID", None, 1])
def test_an_unknown_mode_is_refused(mode: object) -> None:
    assert refused(mode=mode) == "mode: Input should be 'hybrid', 'dense' or 'keyword'"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("min_relevance", value) for value in (-0.01, 1.01, float("nan"), float("inf"), "high")),
        *(("wait_timeout", value) for value in (-1, 60.1, float("nan"), float("inf"), "long", "5", True, None)),
    ],
)
def test_a_number_out_of_range_is_refused(field: str, value: object) -> None:
    assert refused(**{field: value}).startswith(f"{field}: ")


def test_a_position_that_ingest_gave_out_can_be_waited_for() -> None:
    assert taken(wait_for=["0.live.1700000000000-0"]).wait_for == ["0.live.1700000000000-0"]


@pytest.mark.parametrize("position", ["", "x", "0.live.1", "1024.live.1-0", 1, None, ["0.live.1-0"]])
def test_what_is_no_position_is_refused_with_its_place(position: object) -> None:
    assert refused(wait_for=["0.live.1-0", position]).startswith("wait_for.1: ")


def test_no_more_than_a_thousand_positions_are_taken() -> None:
    assert refused(wait_for=["0.live.1-0"] * 1001).startswith("wait_for: List should have at most 1000 items")


@pytest.mark.parametrize("field", ["tenant", "owner", "top_k", ""])
def test_an_unknown_field_is_refused_by_name(field: str) -> None:
    assert refused(**{field: 1}) == f"{field}: Extra inputs are not permitted"


@pytest.mark.parametrize("field", ["owner", "user_id", "tenant"])
def test_an_unknown_condition_is_refused_by_name(field: str) -> None:
    assert refused(filter={field: "x"}) == f"filter.{field}: Extra inputs are not permitted"


@pytest.mark.parametrize("field", ["after", "before"])
def test_a_time_with_a_zone_is_a_condition(field: str) -> None:
    search = taken(filter={field: "2026-01-31T09:30:00+01:00"})

    assert getattr(search.filter, field) == datetime(2026, 1, 31, 8, 30, tzinfo=UTC)


@pytest.mark.parametrize("field", ["after", "before"])
@pytest.mark.parametrize("value", ["2026-01-31T09:30:00", "2026-01-31", "yesterday", True])
def test_a_time_without_a_zone_or_that_is_none_is_refused(field: str, value: object) -> None:
    assert refused(filter={field: value}).startswith(f"filter.{field}: ")


@pytest.mark.parametrize("value", [1_700_000_000, "1700000000"])
def test_a_unix_number_is_refused_as_it_is_in_messages(value: object) -> None:
    assert refused(filter={"after": value}).startswith("filter.after: ")


@pytest.mark.parametrize("field", ["conversation_id", "role", "speaker", "kind"])
@pytest.mark.parametrize("value", ["", "a\0", 1, {"a": 1}, ["a", ""], "a" * 257])
def test_a_label_that_no_message_can_have_is_refused(field: str, value: object) -> None:
    assert refused(filter={field: value}).startswith(f"filter.{field}.")


@pytest.mark.parametrize("key", ["", 'a"b'])
def test_a_metadata_key_that_no_message_can_have_is_refused(key: str) -> None:
    assert refused(filter={"metadata": {key: 1}}).startswith("filter.metadata: has the key")


@pytest.mark.parametrize("value", [None, {"a": 1}, [[1]], [None]])
def test_a_metadata_value_that_cannot_be_compared_is_refused(value: object) -> None:
    assert refused(filter={"metadata": {"k": value}}).startswith("filter.metadata.k.")


def test_a_batch_holds_1_to_100_questions() -> None:
    question = {"user_id": "a", "query": "b"}

    assert len(SearchBatchIn.model_validate({"searches": [question] * 100}).searches) == 100
    for wrong in ([], [question] * 101):
        with pytest.raises(ValidationError, match="List should have at"):
            SearchBatchIn.model_validate({"searches": wrong})


def test_two_to_a_hundred_texts_are_compared() -> None:
    assert len(SimilarityIn.model_validate({"texts": ["a"] * 100}).texts) == 100
    for wrong in ([], ["a"], ["a"] * 101, ["a", " "]):
        with pytest.raises(ValidationError):
            SimilarityIn.model_validate({"texts": wrong})
