"""The embeddings server that asks another one for each text once."""

from typing import Any

import httpx
import orjson

from benchmarks.quality.remembering import application


class Provider:
    """The other server: a text's vector is its length. It refuses what it is told to."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.refuses = False

    async def post(self, body: dict[str, Any]) -> httpx.Response:
        """Answer a request."""
        self.asked.append(body["input"])
        if self.refuses:
            return httpx.Response(429, headers={"retry-after": "7"}, content=b'{"error": "slowly"}')
        # In whatever order.
        data = [{"index": index, "embedding": [len(text)]} for index, text in enumerate(body["input"])][::-1]
        return httpx.Response(200, content=orjson.dumps({"data": data, "usage": {"total_tokens": 9}}))


async def embed(provider: Provider, *requests: dict[str, Any]) -> list[httpx.Response]:
    transport = httpx.ASGITransport(application(provider.post))
    async with httpx.AsyncClient(transport=transport, base_url="http://embeddings") as http:
        return [await http.post("/v1/embeddings", json={"model": "m", **request}) for request in requests]


def vectors(response: httpx.Response) -> list[Any]:
    return [one["embedding"] for one in response.json()["data"]]


async def test_a_text_is_asked_for_once() -> None:
    provider = Provider()

    first, second = await embed(provider, {"input": ["a", "bbb", "a"]}, {"input": ["bbb", "cc", "a"]})

    assert provider.asked == [["a", "bbb"], ["cc"]]
    assert vectors(first) == [[1], [3], [1]]
    assert vectors(second) == [[3], [2], [1]]
    assert (first.json()["model"], first.json()["usage"]["total_tokens"]) == ("m", 9)


async def test_vectors_that_are_written_otherwise_are_asked_for_again() -> None:
    provider = Provider()

    await embed(provider, {"input": ["a"]}, {"input": ["a"], "encoding_format": "base64"})

    assert provider.asked == [["a"], ["a"]]


async def test_what_is_refused_is_refused_alike_and_asked_for_again() -> None:
    provider = Provider()
    provider.refuses = True

    (refused,) = await embed(provider, {"input": ["a"]})

    assert (refused.status_code, refused.headers["retry-after"], refused.json()) == (429, "7", {"error": "slowly"})
