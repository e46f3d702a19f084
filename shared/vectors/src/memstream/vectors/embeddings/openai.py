"""The embeddings API of OpenAI, or of any server that speaks it."""

import base64
import operator
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import numpy.typing as npt
import openai
import orjson
from pydantic_core import from_json

from memstream.runtime.errors import GlobalFault, MemstreamError, Rejected, Unavailable
from memstream.runtime.tls import context_for
from memstream.vectors.embeddings.provider import DEPENDENCY, Embedded
from memstream.vectors.embeddings.quotas import read_quotas
from memstream.vectors.server_errors import (
    error_for_no_answer,
    error_for_status,
    error_for_unreadable_answer,
    read_retry_after,
    reason_of,
)
from memstream.vectors.space import EmbeddingSpace, InputType, Vectors
from memstream.vectors.transport import HttpResponse, HttpTransport, is_direct

_PORT = 80

_OK = 200


class OpenAIEmbeddings:
    """An `EmbeddingsProvider` that speaks OpenAI's protocol. It connects at the first call."""

    def __init__(  # noqa: PLR0913 - what a connection has, by name
        self,
        space: EmbeddingSpace,
        *,
        url: str,
        api_key: str,
        timeout: float,
        ca_file: Path | None = None,
        send_dimensions: bool = False,
        http_client: httpx2.AsyncClient | None = None,
    ) -> None:
        """Make it. `timeout` is in seconds; `http_client` takes the place of the library's own.

        A server with TLS is trusted if its certificate comes from an authority in `ca_file`, or one of the system's.
        """
        context = context_for(url, ca_file)
        if context is not None:
            http_client = openai.DefaultAsyncHttpxClient(verify=context)
        self._space = space
        self._asked: dict[str, object] = {"model": space.model, "encoding_format": "base64"}
        if send_dimensions:
            # Only models that can shorten their vectors take this field; others refuse it.
            self._asked["dimensions"] = space.provider_dimensions
        # One layer retries, and it is the caller's: it knows what waits behind this call.
        self._client = openai.AsyncOpenAI(
            api_key=api_key,
            base_url=url,
            max_retries=0,
            timeout=timeout,
            http_client=http_client,
        )
        self._transport: HttpTransport | None = None
        if http_client is None and is_direct(url):
            self._transport = HttpTransport(
                url, port=_PORT, headers={"authorization": f"Bearer {api_key}"}, timeout=timeout
            )

    async def embed(self, texts: Sequence[str], input_type: InputType) -> Embedded:
        """See `EmbeddingsProvider`. Identical texts are sent once."""
        places: dict[str, int] = {}
        rows = [places.setdefault(text, len(places)) for text in texts]
        sent = [self._space.text_for(input_type, text) for text in places]
        content, headers = await self._post({**self._asked, "input": sent})
        payload = _read(content)
        vectors = self._space.project(self._decode(payload, len(places)))
        return Embedded(vectors if len(places) == len(texts) else vectors[rows], _tokens(payload), read_quotas(headers))

    async def _post(self, body: dict[str, object]) -> tuple[bytes, Mapping[str, str]]:
        if self._transport is not None:
            try:
                response = await self._transport.post("/embeddings", orjson.dumps(body))
            except OSError as error:
                raise error_for_no_answer(DEPENDENCY, error) from error
            if response.status != _OK:
                raise _refusal_in(response)
            return response.content, response.headers
        try:
            # `embeddings.create` would look at every text and make an object of every vector: four times the work.
            answer = await self._client.post("/embeddings", cast_to=httpx2.Response, body=body)
        except openai.APIError as error:
            raise translate(error) from error
        return answer.content, answer.headers

    def _decode(self, payload: Any, count: int) -> Vectors:  # noqa: ANN401 - whatever the server said
        vectors = np.empty((count, self._space.provider_dimensions), dtype=np.float32)
        try:
            items = payload["data"]
            found = {operator.index(item["index"]): _vector(item["embedding"]) for item in items}
        except (ValueError, TypeError, KeyError) as error:
            raise error_for_unreadable_answer(DEPENDENCY, error) from error
        if len(items) != count or found.keys() != set(range(count)):
            raise Unavailable(DEPENDENCY, f"it did not give one vector for each of {count} texts")
        for index, vector in found.items():
            if vector.size != self._space.provider_dimensions:
                raise GlobalFault(
                    DEPENDENCY,
                    f"{self._space.model} gives {vector.size} dimensions, "
                    f"{self._space.provider_dimensions} are configured",
                )
            vectors[index] = vector
        if not np.isfinite(vectors).all():
            raise Rejected(f"{DEPENDENCY} gave a vector that holds no numbers")
        return vectors

    async def aclose(self) -> None:
        """Close the connections."""
        if self._transport is not None:
            self._transport.close()
        await self._client.close()


def translate(error: openai.APIError) -> MemstreamError:
    """Turn the library's error into the one that says what to do about it."""
    if not isinstance(error, openai.APIStatusError):
        # No answer, or one that is not what it should be: timeouts, refused connections, bad JSON.
        return error_for_no_answer(DEPENDENCY, _told_by(error))
    return _refusal(error.status_code, error.message, (error.code, error.type), error.response.headers)


def _told_by(error: openai.APIError) -> Exception:
    """Return what says why there is no connection: the library's own error says only that there is none."""
    cause = error.__cause__
    return cause if isinstance(cause, httpx2.ConnectError) else error


def _refusal_in(answer: HttpResponse) -> MemstreamError:
    try:
        payload = from_json(answer.content)
    except ValueError:
        payload = None
    payload = payload.get("error", payload) if isinstance(payload, dict) else None
    known = payload if isinstance(payload, dict) else {}
    message = str(known.get("message") or answer.content[:300].decode(errors="replace"))
    return _refusal(answer.status, message, (known.get("code"), known.get("type")), answer.headers)


def _refusal(status: int, message: str, codes: tuple[object, object], headers: Mapping[str, str]) -> MemstreamError:
    """Return the error that says what to do about a status that is no success."""
    if "insufficient_quota" in codes:
        # Its status says that there were too many requests; but there is no waiting for an operator to pay.
        return GlobalFault(DEPENDENCY, reason_of(status, message))
    return error_for_status(DEPENDENCY, status, message, read_retry_after(headers))


def _read(answer: bytes) -> Any:  # noqa: ANN401 - whatever the server said
    try:
        return from_json(answer)
    except ValueError as error:
        raise error_for_unreadable_answer(DEPENDENCY, error) from error


def _tokens(payload: Mapping[str, object]) -> int | None:
    usage = payload.get("usage")
    tokens = usage.get("total_tokens") if isinstance(usage, dict) else None
    # Not every server reports it.
    return tokens if isinstance(tokens, int) else None


def _vector(value: object) -> npt.NDArray[np.float32]:
    # Asked for base64, some servers answer with numbers all the same.
    if isinstance(value, str):
        return np.frombuffer(base64.b64decode(value), dtype="<f4")
    with np.errstate(over="ignore"):
        vector = np.asarray(value, dtype=np.float32)
    if vector.ndim != 1:
        raise ValueError("not a list of numbers")
    return vector
