"""What a provider's headers say about its limits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from provider.limits import RateLimits, span

from memstream.vectors.embeddings.quotas import Quota, Quotas, read_quotas, read_span
from memstream.vectors.server_errors import read_retry_after


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0s", 0), ("1s", 1), ("12ms", 0.012), ("1.5s", 1.5), ("6m0s", 360), ("1h2m3s", 3723), ("2m", 120), (" 7s ", 7)],
)
def test_a_duration_is_read(text: str, seconds: float) -> None:
    assert read_span(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "s", "soon", "1", "-1s", "1s2m", "1..5s", "1s1s"])
def test_what_is_no_duration_is_none(text: str) -> None:
    assert read_span(text) is None


@given(st.floats(0, 3599, allow_subnormal=False))
def test_a_duration_as_the_provider_writes_it_is_read(seconds: float) -> None:
    assert read_span(span(seconds)) == pytest.approx(seconds, rel=0.01, abs=0.51)


@given(st.integers(1, 100_000), st.integers(1, 10_000_000), st.integers(0, 20_000))
def test_the_limits_of_a_provider_are_read_from_its_answer(requests: int, tokens: int, cost: int) -> None:
    headers = RateLimits(requests, tokens).admit(min(cost, tokens), 0.0).headers

    quotas = read_quotas(headers)

    assert quotas == Quotas(Quota(requests, requests - 1), Quota(tokens, tokens - min(cost, tokens)))


def test_a_limit_per_day_is_spread_over_the_day() -> None:
    headers = {
        "x-ratelimit-limit-requests": "200",
        "x-ratelimit-remaining-requests": "199",
        "x-ratelimit-reset-requests": "7m12s",
    }
    quota = read_quotas(headers).requests

    assert quota is not None
    assert quota.per_minute * 60 * 24 == pytest.approx(200)


@pytest.mark.parametrize(("remaining", "reset"), [("9999", "24h0m0s"), ("10000", "24h0m0s"), ("9990", "23h59m0s")])
def test_a_limit_that_is_renewed_once_a_day_is_spread_over_the_day(remaining: str, reset: str) -> None:
    headers = {
        "x-ratelimit-limit-requests": "10000",
        "x-ratelimit-remaining-requests": remaining,
        "x-ratelimit-reset-requests": reset,
    }
    quota = read_quotas(headers).requests

    assert quota is not None
    assert quota.per_minute * 60 * 24 == pytest.approx(10_000)
    assert quota.remaining == float(remaining)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-ratelimit-limit-requests": "many", "x-ratelimit-remaining-requests": "1"},
        {"x-ratelimit-limit-requests": "10"},
        {"x-ratelimit-remaining-requests": "10"},
        {"x-ratelimit-limit-requests": "0", "x-ratelimit-remaining-requests": "0"},
        {"x-ratelimit-limit-requests": "-1", "x-ratelimit-remaining-requests": "0"},
        {"x-ratelimit-limit-requests": "inf", "x-ratelimit-remaining-requests": "0"},
        {"x-ratelimit-limit-requests": "nan", "x-ratelimit-remaining-requests": "0"},
    ],
)
def test_what_cannot_be_read_is_no_limit(headers: dict[str, str]) -> None:
    assert read_quotas(headers) == Quotas()


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "3", "retry-after-ms": "2500"}, 2.5),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, None),
        ({"retry-after": "-1"}, None),
        ({}, None),
    ],
)
def test_how_long_to_wait_is_read(headers: dict[str, str], seconds: float | None) -> None:
    assert read_retry_after(headers) == seconds
