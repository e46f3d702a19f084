"""The adapter of the rerank API: what it sends, what it takes for an answer, and what errors become."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memstream.retriever.reranking import RerankApi
from memstream.retriever.reranking.rerank_api import read_scores
from memstream.runtime.errors import GlobalFault, MemstreamError, Rejected, Throttled, Unavailable

Handler = Callable[[httpx2.Request], httpx2.Response]


def api_over(handler: Handler, url: str = "https://test/v1", api_key: str | None = "key") -> RerankApi:
    """Make the adapter; every request is answered by `handler`."""
    return RerankApi(url=url, model="m", api_key=api_key, transport=httpx2.MockTransport(handler))


def ranking(scores: Sequence[tuple[object, object]]) -> bytes:
    """Write results as the API does."""
    results = [{"index": index, "relevance_score": score} for index, score in scores]
    return json.dumps({"id": "r", "results": results, "meta": {"billed_units": {"search_units": 1}}}).encode()


async def error_of(response: httpx2.Response) -> MemstreamError:
    with pytest.raises(MemstreamError) as caught:
        await api_over(lambda _: response).score("where", ["a", "b"])
    return caught.value


@pytest.mark.parametrize("url", ["https://test/v1", "https://test/v1/"])
async def test_it_posts_question_and_texts_below_the_base_url(url: str) -> None:
    asked: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return httpx2.Response(200, content=ranking([(1, 0.9), (0, 0.1)]))

    assert await api_over(answer, url).score("where", ["a", "b"]) == [0.1, 0.9]

    assert (asked[0].method, str(asked[0].url)) == ("POST", "https://test/v1/rerank")
    assert json.loads(asked[0].content) == {"model": "m", "query": "where", "documents": ["a", "b"], "top_n": 2}
    assert asked[0].headers["authorization"] == "Bearer key"


async def test_without_a_key_none_is_sent() -> None:
    asked: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return httpx2.Response(200, content=ranking([(0, 1)]))

    await api_over(answer, api_key=None).score("where", ["a"])

    assert "authorization" not in asked[0].headers


@given(st.permutations(range(6)), st.data())
def test_the_order_of_the_results_does_not_matter(order: list[int], data: st.DataObject) -> None:
    finite = st.floats(allow_nan=False, allow_infinity=False)
    scores = data.draw(st.lists(finite, min_size=6, max_size=6))

    assert read_scores(ranking([(index, scores[index]) for index in order]), 6) == scores


@pytest.mark.parametrize(
    "answer",
    [
        ranking([(0, 1.0)]),
        ranking([(0, 1.0), (0, 0.5)]),
        ranking([(0, 1.0), (1, 0.5), (1, 0.5)]),
        ranking([(0, 1.0), (1, 0.5), (2, 0.5)]),
        ranking([(0, 1.0), (2, 0.5)]),
        ranking([(0, 1.0), (-1, 0.5)]),
        ranking([(0, 1.0), (1, float("nan"))]),
        ranking([(0, 1.0), (1, float("inf"))]),
        ranking([(0, 1.0), (1, None)]),
        ranking([(0, 1.0), (1, "0.5")]),
        ranking([(0, 1.0), ("1", 0.5)]),
        ranking([(0, 1.0), (1.5, 0.5)]),
        ranking([(0, True), (1, 0.5)]),
        b'{"results": null}',
        b'{"data": []}',
        b'[{"index": 0, "score": 1.0}, {"index": 1, "score": 0.5}]',
        b"<html></html>",
        b"",
        b"\xff",
    ],
)
async def test_what_does_not_have_one_finite_score_for_each_text_is_no_answer(answer: bytes) -> None:
    error = await error_of(httpx2.Response(200, content=answer))

    assert type(error) is Unavailable
    assert "can't be read" in str(error)


@given(st.binary(max_size=200))
def test_no_bytes_are_taken_for_a_ranking(answer: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_scores(answer, 2)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *[(status, Rejected) for status in (400, 413, 422)],
        *[(status, GlobalFault) for status in (301, 307, 401, 402, 403, 404, 405)],
        (429, Throttled),
        *[(status, Unavailable) for status in (408, 500, 502, 503, 504, 529)],
    ],
)
async def test_an_error_says_what_to_do_about_it(status: int, kind: type[MemstreamError]) -> None:
    error = await error_of(httpx2.Response(status, json={"message": "no"}))

    assert type(error) is kind
    assert f"HTTP {status}" in str(error)


async def test_a_wish_for_a_pause_is_passed_on() -> None:
    error = await error_of(httpx2.Response(429, headers={"retry-after": "7"}))

    assert isinstance(error, Throttled)
    assert error.retry_after == 7.0


async def test_what_is_said_about_an_input_is_told_to_nobody_since_it_may_quote_it() -> None:
    error = await error_of(httpx2.Response(422, json={"detail": [{"input": "my secret"}]}))

    assert str(error) == "the rerank server: HTTP 422"


@pytest.mark.parametrize(
    "raised", [httpx2.ConnectError("refused"), httpx2.RemoteProtocolError("cut off"), httpx2.DecodingError("no gzip")]
)
async def test_no_answer_is_unavailable(raised: Exception) -> None:
    def fail(_: httpx2.Request) -> Any:  # noqa: ANN401 - never
        raise raised

    with pytest.raises(Unavailable, match="the rerank server: "):
        await api_over(fail).score("where", ["a"])
