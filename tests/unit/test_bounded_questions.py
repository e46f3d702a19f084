"""Work for a question is bounded, whatever it says: counted, not timed."""

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from memstream.contracts.limits import Limits
from memstream.contracts.searches import ContextIn, SearchBatchIn, SearchIn
from memstream.retriever.asking import read_question
from memstream.runtime.errors import TooLarge
from memstream.web.json_values import check_values

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ONE = {"user_id": "ana", "query": "lamp"}


def test_a_time_that_is_said_again_and_again_counts_once() -> None:
    assert len(read_question("2020 " * 13_000, NOW).times) == 1


def test_of_many_times_the_first_ones_count() -> None:
    years = " ".join(str(year) for year in range(1950, 2050))

    assert len(read_question(years, NOW).times) == 16


@pytest.mark.parametrize("text", [" ".join(f"{n:x}ab" for n in range(13_000)), "芒果湖水" * 5_000, "x" * 64_000])
def test_of_many_terms_the_first_ones_count_and_their_beginnings(text: str) -> None:
    terms = read_question(text, NOW).wording.terms

    assert 1 <= len(terms) <= 128
    assert max(map(len, terms)) <= 64


@pytest.mark.parametrize(
    ("searches", "field", "says"),
    [
        (
            [{"limit": 100, "neighbours": 3}] * 10,
            "searches",
            "limit · (1 + 2 · neighbours) is 7000 in sum, the limit is",
        ),
        ([{"limit": 100}] * 51, "searches", "limit · (1 + 2 · neighbours) is 5100 in sum, the limit is 5000"),
        ([{"limit": 51, "diversity": 0.1}] * 20, "searches", "limit with diversity is 1020 in sum, the limit is 1000"),
        (
            [{"wait_for": ["0.live.1-0"] * 501}] * 10,
            "searches",
            "positions in wait_for is 5010 in sum, the limit is 5000",
        ),
    ],
)
def test_a_request_is_held_to_limits_on_products(searches: list[dict[str, object]], field: str, says: str) -> None:
    with pytest.raises(ValidationError) as refused:
        SearchBatchIn.model_validate({"searches": [{**ONE, **search} for search in searches]})

    (error,) = refused.value.errors()
    assert error["loc"] == (field,)
    assert says in error["msg"]


def test_a_single_search_may_ask_for_all_that_its_fields_allow() -> None:
    everything = {**ONE, "limit": 100, "neighbours": 10, "diversity": 1.0}

    assert SearchIn.model_validate(everything).messages == 2_100
    assert ContextIn.model_validate({**everything, "token_budget": 1_000_000}).token_budget == 1_000_000


@pytest.mark.parametrize(
    ("limits", "fields", "field"),
    [
        (Limits(search_messages=100), {"limit": 10, "neighbours": 10}, "neighbours"),
        (Limits(diverse_hits=9), {"limit": 10, "diversity": 0.5}, "diversity"),
        (Limits(wait_positions=1), {"wait_for": ["0.live.1-0", "0.live.2-0"]}, "wait_for"),
        (Limits(token_budget=100), {"token_budget": 101}, "token_budget"),
    ],
)
def test_an_operators_limits_hold_and_name_the_field(limits: Limits, fields: dict[str, object], field: str) -> None:
    with pytest.raises(ValidationError) as refused:
        ContextIn.model_validate({**ONE, "token_budget": 10, **fields}, context={"limits": limits})

    assert [error["loc"] for error in refused.value.errors()] == [(field,)]


def test_a_filter_is_refused_with_its_first_wrong_values() -> None:
    wide: dict[str, list[list[str]]] = {f"k{number}": [[]] * 80 for number in range(32)}

    with pytest.raises(ValidationError) as refused:
        SearchIn.model_validate({**ONE, "filter": {"metadata": wide}})

    # One for each kind of value that each could be; not one for each value.
    assert refused.value.error_count() <= 32 * 8


@pytest.mark.parametrize(
    ("body", "values"),
    [
        (b'{"a": [1, 2, 3]}', 4),
        (b'{"a": ",,,[[[{{{", "b": "\\",\\",,"}', 2),
        (b'["' + b'\\"' * 1000, 1),
        (b"[" * 50, 50),
        (b'["a", "b", "c"]', 3),
        (b'"\\', 0),
    ],
)
def test_values_of_a_body_are_counted_and_what_strings_hold_is_not(body: bytes, values: int) -> None:
    check_values(body, values)
    if values:
        with pytest.raises(TooLarge, match=f"body: has more than {values - 1} values"):
            check_values(body, values - 1)
