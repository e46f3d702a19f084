"""The rerank API that Cohere, Jina, vLLM and other servers share."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import httpx2
from pydantic import BaseModel, ConfigDict, Field

from memstream.retriever.reranking.reranker import DEPENDENCY
from memstream.runtime.errors import MemstreamError
from memstream.runtime.tls import context_for
from memstream.vectors.server_errors import (
    error_for_no_answer,
    error_for_status,
    error_for_unreadable_answer,
    read_retry_after,
)


class _Result(BaseModel):
    model_config = ConfigDict(strict=True)

    index: int
    relevance_score: Annotated[float, Field(allow_inf_nan=False)]


class _Ranking(BaseModel):
    results: list[_Result]


class RerankApi:
    """A `Reranker` that posts to `/rerank` below a base URL. It connects at the first call."""

    def __init__(
        self,
        *,
        url: str,
        model: str,
        api_key: str | None,
        ca_file: Path | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        """Make it. `transport` takes the place of the library's own.

        A server with TLS is trusted if its certificate comes from an authority in `ca_file`, or one of the system's.
        """
        self._url = f"{url.rstrip('/')}/rerank"
        self._model = model
        # The caller limits how many calls there are, and how long one takes. A limit of the pool's would be used up:
        # a call that is cancelled while it waits for a connection of a full pool can leave that one behind unusable.
        self._client = httpx2.AsyncClient(
            headers={} if api_key is None else {"authorization": f"Bearer {api_key}"},
            timeout=None,
            verify=context_for(url, ca_file) or True,
            limits=httpx2.Limits(max_connections=None),
            transport=transport,
        )

    async def score(self, query: str, texts: Sequence[str]) -> list[float]:
        """See `Reranker`."""
        # Fields that not all servers know are left out: some refuse what they don't know.
        body = {"model": self._model, "query": query, "documents": list(texts), "top_n": len(texts)}
        try:
            response = await self._client.post(self._url, json=body)
        except httpx2.HTTPError as error:
            raise error_for_no_answer(DEPENDENCY, error) from error
        if not response.is_success:
            raise _refusal(response)
        try:
            return read_scores(response.content, len(texts))
        except ValueError as error:
            raise error_for_unreadable_answer(DEPENDENCY, error) from error

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def _refusal(response: httpx2.Response) -> MemstreamError:
    """Return the error that says what to do about a status that is no success."""
    message = " ".join(response.text.split())
    return error_for_status(DEPENDENCY, response.status_code, message, read_retry_after(response.headers))


def read_scores(answer: bytes, count: int) -> list[float]:
    """Return the score of each of `count` texts, in the order in which they were sent.

    Raises:
        ValueError: the answer is not JSON, or does not have one finite score for each text.

    """
    results = _Ranking.model_validate_json(answer).results
    scores = {result.index: result.relevance_score for result in results}
    if len(results) != count or scores.keys() != set(range(count)):
        raise ValueError(f"{len(results)} results, not one for each of {count} texts")
    return [scores[index] for index in range(count)]
