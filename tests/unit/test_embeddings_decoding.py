"""What the embeddings adapter makes of answers: right ones, odd ones, and wrong ones."""

import json

import httpx2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.embeddings_api import api_over, base64_of, item, listing

from memstream.runtime.errors import GlobalFault, Rejected, Unavailable
from memstream.vectors.space import InputType, Projection


async def embedded(answer: httpx2.Response, texts: tuple[str, ...] = ("a",)) -> list[list[float]]:
    """Embed texts by a server that gives this answer."""
    found: list[list[float]] = (await api_over(lambda _: answer).embed(texts, "passage")).vectors.tolist()
    return found


@pytest.mark.parametrize("vector", [base64_of([1.5, -2.0]), [1.5, -2.0], [1.5, -2]])
async def test_base64_and_plain_numbers_are_read(vector: object) -> None:
    assert await embedded(listing(item(0, vector))) == [[1.5, -2.0]]


async def test_vectors_are_single_precision_rows() -> None:
    found = await api_over(lambda _: listing(item(0, base64_of([1, 2])))).embed(["a"], "passage")

    assert found.vectors.dtype == np.float32
    assert found.vectors.shape == (1, 2)


@given(st.permutations(range(4)))
async def test_vectors_are_put_in_order_by_their_index(order: list[int]) -> None:
    answer = listing(*(item(index, [index, 0]) for index in order))

    assert await embedded(answer, ("a", "b", "c", "d")) == [[0, 0], [1, 0], [2, 0], [3, 0]]


async def test_identical_texts_are_sent_once_and_answered_each() -> None:
    sent: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        sent.extend(json.loads(request.content)["input"])
        return listing(item(0, [0, 0]), item(1, [1, 1]))

    found = await api_over(answer).embed(["a", "b", "a", "a"], "passage")

    assert sent == ["a", "b"]
    assert found.vectors.tolist() == [[0, 0], [1, 1], [0, 0], [0, 0]]


@pytest.mark.parametrize("sends", [True, False])
async def test_a_request_asks_for_base64_and_for_dimensions_only_where_they_can_be_chosen(sends: bool) -> None:  # noqa: FBT001 - an example
    bodies = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        assert (str(request.url), request.headers["authorization"]) == ("https://test/v1/embeddings", "Bearer key")
        bodies.append(json.loads(request.content))
        return listing(item(0, [0, 0]))

    await api_over(answer, send_dimensions=sends).embed(["Zoë 👍"], "passage")

    expected = {"model": "model", "input": ["Zoë 👍"], "encoding_format": "base64"}
    assert bodies == [expected | ({"dimensions": 2} if sends else {})]


@pytest.mark.parametrize("indexes", [[], [0], [0, 0], [1, 2], [0, 1, 2], [-1, 0]])
async def test_an_answer_of_other_vectors_than_were_asked_for_is_no_answer(indexes: list[object]) -> None:
    answer = listing(*(item(index, [0, 0]) for index in indexes))

    with pytest.raises(Unavailable, match="did not give one vector for each of 2 texts"):
        await embedded(answer, ("a", "b"))


@pytest.mark.parametrize("vector", ["A", "AAAA", "é", ["a", "b"]])
async def test_a_vector_that_cannot_be_read_is_no_answer(vector: object) -> None:
    with pytest.raises(Unavailable, match="can't be read"):
        await embedded(listing(item(0, vector)))


@pytest.mark.parametrize("vector", [base64_of([1]), base64_of([1, 2, 3]), [1], []])
async def test_other_dimensions_are_a_matter_for_the_operator(vector: object) -> None:
    with pytest.raises(GlobalFault, match=r"gives \d dimensions, 2 are configured"):
        await embedded(listing(item(0, vector)))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
async def test_a_vector_of_no_numbers_is_refused(bad: float) -> None:
    with pytest.raises(Rejected, match="holds no numbers"):
        await embedded(listing(item(0, base64_of([1.0, bad]))))


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(200, html="<html>log in, please</html>"),
        httpx2.Response(200, content=b"{oops", headers={"content-type": "application/json"}),
        httpx2.Response(200, content=b"\xff\xfe", headers={"content-type": "application/json"}),
        httpx2.Response(200, json=None),
        httpx2.Response(200, json=[1]),
        httpx2.Response(200, json={"data": "xx"}),
        listing(None),
    ],
    ids=["a page", "half JSON", "no UTF-8", "null", "a list", "text for data", "null for a vector"],
)
async def test_what_is_no_embeddings_answer_is_no_answer(answer: httpx2.Response) -> None:
    with pytest.raises(Unavailable):
        await embedded(answer)


@pytest.mark.parametrize(
    "answer",
    [
        listing({"embedding": [1, 2]}, {"embedding": [1, 2]}),
        listing(item(0, [1, 2]), item("1", [1, 2])),
        listing(item(0, {"a": 1}), item(1, [1, 2])),
        listing(item(0, [[1], [2]]), item(1, [1, 2])),
        listing(item(0, None), item(1, [1, 2])),
    ],
    ids=["no index", "index as text", "an object", "nested", "null"],
)
async def test_a_vector_of_another_shape_is_no_answer(answer: httpx2.Response) -> None:
    with pytest.raises(Unavailable):
        await embedded(answer, ("a", "b"))


async def test_a_number_beyond_single_precision_is_refused() -> None:
    with pytest.raises(Rejected):
        await embedded(listing(item(0, [1e39, 0])))


@pytest.mark.parametrize(("input_type", "sent"), [("query", ["q: a", "q: b"]), ("passage", ["p: a", "p: b"])])
async def test_a_models_prefixes_stand_before_the_texts(input_type: InputType, sent: list[str]) -> None:
    asked: list[object] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.extend(json.loads(request.content)["input"])
        return listing(item(0, [1, 2]), item(1, [3, 4]))

    await api_over(answer, prefixes=("q: ", "p: ")).embed(["a", "b", "a"], input_type)

    assert asked == sent


async def test_vectors_come_as_the_space_stores_them() -> None:
    projection = Projection(np.array([[1], [10]], np.float32))

    found = await api_over(lambda _: listing(item(0, [1, 2])), projection=projection).embed(["a"], "query")

    assert found.vectors.tolist() == [[21.0]]
