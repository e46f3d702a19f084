"""The reference: an ASGI handler that sends the retriever's requests, returns Qdrant's answer, and does nothing else.

    python -m benchmarks.retriever.forwarder QDRANT_URL PORT [EMBEDDINGS_URL MODEL]

The servers' keys are in QDRANT_API_KEY and OPENAI_API_KEY.

It runs on the same HTTP server as the retriever, configured alike, and uses the same HTTP transport. The posted body is
a batch of queries for Qdrant; with an embeddings server it is a search, whose query is embedded first.
"""

import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import uvicorn

from benchmarks.retriever.asking import CANDIDATES, TENANT, space_of
from memstream.runtime.clock import SystemClock
from memstream.vectors.embeddings.openai import OpenAIEmbeddings
from memstream.vectors.space import EmbeddingSpace
from memstream.vectors.store import CandidateQuery, Expiry, owner_of
from memstream.vectors.store.qdrant.keyword_spaces import ANY_SCRIPT
from memstream.vectors.store.qdrant.queries import queries_for
from memstream.vectors.store.qdrant.scored_queries import batch_body
from memstream.vectors.transport import HttpTransport

_QUERY = "/collections/memstream/points/query/batch"

Write = Callable[[bytes], Awaitable[bytes]]
"""Makes the queries for Qdrant from a request's body."""


def embedding(api: OpenAIEmbeddings, space: EmbeddingSpace) -> Write:
    """Embed the query of a search."""

    async def write(body: bytes) -> bytes:
        search = orjson.loads(body)
        (vector,) = (await api.embed([search["query"]], "query")).vectors
        expiry = Expiry(SystemClock().now())
        question = CandidateQuery(owner_of(TENANT, search["user_id"]), vector, search["query"], CANDIDATES)
        return batch_body(list(queries_for(question, expiry, space.vector_name, ANY_SCRIPT)))

    return write


async def as_it_is(body: bytes) -> bytes:
    """Return the body as the queries."""
    return body


def handler(transport: HttpTransport, write: Write) -> Any:  # noqa: ANN401 - ASGI
    """Return an application that queries Qdrant for each request."""

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            event = await receive()
            body, more = body + event.get("body", b""), event.get("more_body", False)
        answer = await transport.post(_QUERY, await write(body))
        length = str(len(answer.content)).encode()
        await send({"type": "http.response.start", "status": answer.status, "headers": [(b"content-length", length)]})
        await send({"type": "http.response.body", "body": answer.content})

    return app


if __name__ == "__main__":
    qdrant_url, port, *embeddings = sys.argv[1:]
    writing: Write = as_it_is
    if embeddings:
        url, model = embeddings
        space = space_of(model)
        writing = embedding(OpenAIEmbeddings(space, url=url, api_key=os.environ["OPENAI_API_KEY"], timeout=60), space)
    uvicorn.run(
        handler(
            HttpTransport(qdrant_url, port=6333, headers={"api-key": os.environ["QDRANT_API_KEY"]}, timeout=60), writing
        ),
        port=int(port),
        loop="uvloop",
        http="httptools",
        log_level="warning",
        access_log=False,
        ws="none",
        server_header=False,
        proxy_headers=False,
    )
