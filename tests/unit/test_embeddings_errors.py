"""Each error of the embeddings API becomes the one that says what to do about it."""

from collections.abc import Callable

import httpx2
import openai
import pytest
from unit.embeddings_api import api_over

from memstream.runtime.errors import GlobalFault, MemstreamError, Rejected, Throttled, Unavailable
from memstream.vectors.embeddings.openai import translate

REQUEST = httpx2.Request("POST", "http://test/v1/embeddings")


async def error_of(status: int, body: object = None, headers: dict[str, str] | None = None) -> MemstreamError:
    """Give what an answer of this status is translated into."""
    answer = httpx2.Response(status, json=body or {"error": {"message": "no", "code": None}}, headers=headers)
    with pytest.raises(MemstreamError) as caught:
        await api_over(lambda _: answer).embed(["a"], "passage")
    return caught.value


@pytest.mark.parametrize("status", [408, 409, 425, 500, 502, 503, 504, 529])
async def test_what_passes_is_unavailable(status: int) -> None:
    error = await error_of(status)

    assert type(error) is Unavailable
    assert f"HTTP {status}" in str(error)


async def test_too_many_requests_are_told_from_other_failures_that_pass() -> None:
    assert type(await error_of(429)) is Throttled


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_what_an_operator_has_to_mend_is_a_global_fault(status: int) -> None:
    assert type(await error_of(status)) is GlobalFault


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_refused_input_is_rejected(status: int) -> None:
    assert type(await error_of(status)) is Rejected


@pytest.mark.parametrize("status", [301, 302, 307, 308, 402, 405, 406, 407, 410, 426, 451])
async def test_a_refusal_that_is_not_about_the_input_never_condemns_it(status: int) -> None:
    assert type(await error_of(status)) in {GlobalFault, Unavailable}


async def test_an_exhausted_quota_is_a_global_fault_though_it_looks_like_a_rate_limit() -> None:
    body = {"error": {"message": "You exceeded your current quota.", "code": "insufficient_quota"}}

    assert type(await error_of(429, body)) is GlobalFault


async def test_an_exhausted_quota_may_be_told_by_its_type() -> None:
    body = {"error": {"message": "You exceeded your current quota.", "type": "insufficient_quota"}}

    assert type(await error_of(429, body)) is GlobalFault


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("0.5", 0.5), ("-3", None), ("nan", None), ("", None), ("soon", None)],
)
async def test_the_servers_wish_for_a_pause_is_passed_on(header: str, seconds: float | None) -> None:
    error = await error_of(429, headers={"retry-after": header})

    assert isinstance(error, Unavailable)
    assert error.retry_after == seconds


async def test_without_a_wish_there_is_none() -> None:
    error = await error_of(503)

    assert isinstance(error, Unavailable)
    assert error.retry_after is None


@pytest.mark.parametrize(
    "raised",
    [
        httpx2.ConnectError("refused"),
        httpx2.ReadTimeout("too slow"),
        httpx2.PoolTimeout("no connection"),
        httpx2.RemoteProtocolError("cut off"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_no_answer_is_unavailable(raised: Exception) -> None:
    def fail(_: httpx2.Request) -> httpx2.Response:
        raise raised

    with pytest.raises(Unavailable) as caught:
        await api_over(fail).embed(["a"], "passage")

    assert isinstance(caught.value.__cause__, openai.APIError)


async def test_a_call_is_never_repeated_by_the_library() -> None:
    calls = []

    def fail(request: httpx2.Request) -> httpx2.Response:
        calls.append(request)
        return httpx2.Response(500)

    with pytest.raises(Unavailable):
        await api_over(fail).embed(["a"], "passage")

    assert len(calls) == 1


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda: openai.APIConnectionError(request=REQUEST), Unavailable),
        (lambda: openai.APITimeoutError(REQUEST), Unavailable),
        (lambda: openai.APIResponseValidationError(httpx2.Response(200, request=REQUEST), None), Unavailable),
        (lambda: openai.APIError("odd", REQUEST, body=None), Unavailable),
    ],
)
def test_an_error_without_an_answer_is_unavailable(
    make: Callable[[], openai.APIError], kind: type[MemstreamError]
) -> None:
    # The library's validation error carries an answer of 200.
    assert type(translate(make())) is kind


def test_a_reason_is_short_whatever_the_server_says() -> None:
    error = openai.BadRequestError("x" * 10_000, response=httpx2.Response(400, request=REQUEST), body=None)

    assert len(str(translate(error))) <= 300
