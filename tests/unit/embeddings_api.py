"""The embeddings adapter over a server that is a function."""

import base64
from collections.abc import Callable, Sequence
from typing import Any

import httpx2
import numpy as np

from memstream.vectors.embeddings.openai import OpenAIEmbeddings
from memstream.vectors.space import EmbeddingSpace, Projection

Handler = Callable[[httpx2.Request], httpx2.Response]


def api_over(
    handler: Handler,
    *,
    dimensions: int = 2,
    send_dimensions: bool = False,
    prefixes: tuple[str, str] = ("", ""),
    projection: Projection | None = None,
) -> OpenAIEmbeddings:
    """Make the adapter; every request is answered by `handler`."""
    space = EmbeddingSpace("model", dimensions, prefixes=prefixes, projection=projection)
    client = httpx2.AsyncClient(transport=httpx2.MockTransport(handler))
    return OpenAIEmbeddings(
        space,
        url="https://test/v1",
        api_key="key",
        timeout=5,
        send_dimensions=send_dimensions,
        http_client=client,
    )


def base64_of(values: Sequence[float]) -> str:
    """Write a vector as the API does when it is asked for base64."""
    return base64.b64encode(np.array(values, dtype="<f4").tobytes()).decode()


def item(index: object, embedding: object) -> dict[str, Any]:
    """Write one vector of an answer."""
    return {"object": "embedding", "index": index, "embedding": embedding}


def listing(*items: object) -> httpx2.Response:
    """Make an answer of these vectors."""
    usage = {"prompt_tokens": 1, "total_tokens": 1}
    return httpx2.Response(200, json={"object": "list", "model": "model", "data": items, "usage": usage})
