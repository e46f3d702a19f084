"""The collection in Qdrant: its layout, and every way of writing to it and asking it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx
import numpy as np
import numpy.typing as npt
import orjson
from pydantic import BaseModel
from qdrant_client import AsyncQdrantClient, models
from qdrant_client.common.client_exceptions import QdrantException, ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from memstream.runtime.errors import GlobalFault, Rejected, Throttled, Unavailable
from memstream.vectors.lookups import Lookup, Order, Record
from memstream.vectors.questions import (
    BM25_MODEL,
    BM25_OPTIONS,
    BM25_VECTOR,
    OWNER,
    Candidates,
    Question,
    owned,
    read_answers,
    write_queries,
)
from memstream.vectors.quotas import read_retry_after
from memstream.vectors.refusals import refusal, unanswered, unreadable
from memstream.vectors.space import EmbeddingSpace
from memstream.vectors.wire import Wire, is_direct

DEPENDENCY = "Qdrant"

ENTRY_MS = "entry_ms"
"""When the entry a point comes from was appended, by the stream's clock; milliseconds."""

SPEAKERS = 100
"""As many of an owner's speakers are known by name."""

_INDEXES: dict[str, models.PayloadSchemaParams] = {
    OWNER: models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True),
    # Graphs of vectors are for owners. For every role and every moment they would cost far more than all else.
    **{
        name: models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, enable_hnsw=False)
        for name in ("conversation_id", "role", "speaker", "kind")
    },
    **{
        name: models.DatetimeIndexParams(type=models.DatetimeIndexType.DATETIME, enable_hnsw=False)
        for name in ("occurred_at", "recorded_at")
    },
}

_PORT = 6333
"""Where Qdrant is asked when its URL names no port."""

_OK = 200
_CONFLICT = 409
_NO_STATUS = 500
"""What an answer without a status counts as."""


@dataclass(frozen=True, slots=True)
class StoredPoint:
    """What is stored for a chunk of a message."""

    id: UUID
    owner: str
    vector: npt.NDArray[np.float32]
    indexed_text: str
    """The text that BM25 indexes."""
    payload: Mapping[str, Any]


class _Upserted(BaseModel):
    """The answer to an upsert."""

    result: models.UpdateResult


class _Answered(BaseModel):
    """The answer to a batch of queries; what is in it is read by `questions`."""

    result: list[Any]


class Collection:
    """Memstream's collection, through Qdrant's REST interface."""

    def __init__(  # noqa: PLR0913 - what a connection has
        self,
        space: EmbeddingSpace,
        *,
        url: str,
        api_key: str | None,
        name: str,
        timeout: float,
        connections: int = 32,
    ) -> None:
        self._space = space
        self._vector_name = space.vector_name
        self._name = name
        self._client = AsyncQdrantClient(
            url=url,
            api_key=api_key,
            timeout=max(1, int(timeout)),
            check_compatibility=False,
            # The server makes the BM25 vectors; without this the client would look for a model of its own.
            cloud_inference=True,
            # Connections to this machine are kept alive only when limits are given.
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
        )
        self._wire: Wire | None = None
        if is_direct(url):
            headers = {} if api_key is None else {"api-key": api_key}
            self._wire = Wire(url, port=_PORT, headers=headers, timeout=max(1, int(timeout)))

    async def ensure(self) -> None:
        """Create the collection and its indexes, if they are missing.

        Raises:
            GlobalFault: it is there, and lacks this space's vector or has it in other dimensions.
            Unavailable: Qdrant is out of reach.

        """
        with qdrant_faults():
            if not await self._client.collection_exists(self._name):
                await self._create()
            info = await self._client.get_collection(self._name)
            self._check(info)
            for field, schema in _INDEXES.items():
                if field not in info.payload_schema:
                    await self._client.create_payload_index(self._name, field, schema, wait=True)

    async def _create(self) -> None:
        try:
            await self._client.create_collection(
                self._name,
                vectors_config={
                    self._vector_name: models.VectorParams(size=self._space.dimensions, distance=models.Distance.COSINE)
                },
                sparse_vectors_config={BM25_VECTOR: models.SparseVectorParams(modifier=models.Modifier.IDF)},
                # An index per owner instead of one over everybody: each question is about one owner.
                hnsw_config=models.HnswConfigDiff(m=0, payload_m=16),
            )
        except UnexpectedResponse as error:
            if error.status_code != _CONFLICT:
                raise
            # Another worker was first.

    def _check(self, info: models.CollectionInfo) -> None:
        vectors = info.config.params.vectors
        params = vectors.get(self._vector_name) if isinstance(vectors, dict) else None
        if params is None:
            raise GlobalFault(
                DEPENDENCY,
                f"the collection {self._name!r} has no vector {self._vector_name!r}: "
                "it was filled with another embedding model; configure that one, or another collection",
            )
        if params.size != self._space.dimensions:
            raise GlobalFault(
                DEPENDENCY,
                f"the vector {self._vector_name!r} has {params.size} dimensions, "
                f"{self._space.dimensions} are configured",
            )

    async def check(self) -> None:
        """Return if the collection answers.

        Raises:
            GlobalFault: it is missing.
            Unavailable: Qdrant is out of reach.

        """
        with qdrant_faults():
            if not await self._client.collection_exists(self._name):
                raise GlobalFault(DEPENDENCY, f"the collection {self._name!r} is missing")

    async def upsert(self, points: Sequence[StoredPoint]) -> None:
        """Store points, overwriting those of the same id. They are searchable when this returns.

        One that comes from a later entry than all of these is left as it is: its message was posted anew since.

        Raises:
            Unavailable, GlobalFault, Rejected: they are not stored, or not known to be.

        """
        written: dict[str, Any] = {"points": [self._written(point) for point in points]}
        newest = max((point.payload.get(ENTRY_MS, 0) for point in points), default=0)
        # An upsert may be late by any time: meanwhile its user was erased, and the message said anew and stored. To
        # overwrite that would be to lose it, for what is found to be forgotten after an upsert is removed again.
        if newest:
            written["update_filter"] = {"must_not": [{"key": ENTRY_MS, "range": {"gt": newest}}]}
        try:
            body = orjson.dumps(written, option=orjson.OPT_SERIALIZE_NUMPY)
        except orjson.JSONEncodeError as error:
            raise Rejected(f"not to be written as JSON: {error}") from error
        with qdrant_faults():
            # The client's own transport, without its models: decision 0008 has the reason.
            answer = await self._client.http.client.request(
                type_=_Upserted,
                method="PUT",
                url="/collections/{name}/points",
                path_params={"name": self._name},
                params={"wait": "true"},
                headers={"Content-Type": "application/json"},
                content=body,
            )
        result = answer.result
        if result.status is not models.UpdateStatus.COMPLETED:
            # `acknowledged` and `wait_timeout` look like success, and promise nothing.
            raise Unavailable(DEPENDENCY, f"an upsert ended as {result.status.value!r}")

    def _written(self, point: StoredPoint) -> dict[str, Any]:
        """Write a point as the REST interface takes it."""
        return {
            "id": str(point.id),
            "vector": {
                self._vector_name: point.vector,
                BM25_VECTOR: {"text": point.indexed_text, "model": BM25_MODEL, "options": BM25_OPTIONS},
            },
            "payload": {OWNER: point.owner, **point.payload},
        }

    async def forget_messages(self, owner: str, until: Mapping[str, int]) -> None:
        """Remove an owner's messages, all their chunks, as far as they come from entries up to a time.

        `until` gives that time for each message id, in milliseconds by the stream's clock: what was posted again later
        stays. Messages that are not there are passed over.

        Raises:
            Unavailable, GlobalFault, Rejected: they are not removed, or not known to be.

        """
        each: list[models.Condition] = [
            models.Filter(
                must=[
                    models.FieldCondition(key="message_id", match=models.MatchValue(value=message_id)),
                    models.FieldCondition(key=ENTRY_MS, range=models.Range(lte=milliseconds)),
                ]
            )
            for message_id, milliseconds in until.items()
        ]
        await self._forget(owner, models.Filter(should=each))

    async def forget_until(self, owner: str, milliseconds: int) -> None:
        """Remove all of an owner's messages whose entries were appended until then, by the stream's clock.

        Raises:
            Unavailable, GlobalFault, Rejected: they are not removed, or not known to be.

        """
        until = models.FieldCondition(key=ENTRY_MS, range=models.Range(lte=milliseconds))
        await self._forget(owner, models.Filter(must=[until]))

    async def _forget(self, owner: str, condition: models.Filter) -> None:
        which = models.FilterSelector(filter=owned(owner, condition))
        with qdrant_faults():
            result = await self._client.delete(self._name, which, wait=True)
        if result.status is not models.UpdateStatus.COMPLETED:
            raise Unavailable(DEPENDENCY, f"a removal ended as {result.status.value!r}")

    async def ask(self, questions: Sequence[Question]) -> list[Candidates]:
        """Find candidates for several questions, in one round trip.

        Raises:
            Unavailable, GlobalFault, Rejected: there is no answer.

        """
        answers = await self._query(content=write_queries(questions, self._vector_name))
        try:
            return read_answers(questions, answers, self._vector_name)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise unreadable(DEPENDENCY, error) from error

    async def _query(self, *, content: bytes) -> Any:  # noqa: ANN401 - whatever the server said
        """Ask a batch of queries, on the shortest way there is to this server."""
        if self._wire is None:
            with qdrant_faults():
                # Past the client's models, as with upserts: hundreds of candidates are not worth an object each.
                told = await self._client.http.client.request(
                    type_=_Answered,
                    method="POST",
                    url="/collections/{name}/points/query/batch",
                    path_params={"name": self._name},
                    headers={"Content-Type": "application/json"},
                    content=content,
                )
            return told.result
        with qdrant_faults():
            answer = await self._wire.post(f"/collections/{quote(self._name, safe='')}/points/query/batch", content)
        if answer.status != _OK:
            message = answer.content.decode(errors="replace")
            raise refusal(DEPENDENCY, answer.status, message, read_retry_after(answer.headers))
        try:
            return orjson.loads(answer.content)["result"]
        except (KeyError, TypeError, ValueError) as error:
            raise unreadable(DEPENDENCY, error) from error

    async def speakers(self, owner: str) -> list[str]:
        """Give the speakers of an owner's points, those of the most points first, `SPEAKERS` at the most.

        Raises:
            Unavailable, GlobalFault, Rejected: there is no answer.

        """
        with qdrant_faults():
            answer = await self._client.facet(
                self._name, key="speaker", facet_filter=owned(owner, None), limit=SPEAKERS
            )
        return [str(hit.value) for hit in answer.hits]

    async def look_up(self, lookups: Sequence[Lookup]) -> list[list[Record]]:
        """Give the points of several lookups, in one round trip.

        Raises:
            Unavailable, GlobalFault, Rejected: there is no answer.

        """
        if not lookups:
            return []
        requests = [
            models.QueryRequest(
                query=None if lookup.order is None else models.OrderByQuery(order_by=lookup.order.by),
                filter=owned(lookup.owner, lookup.conditions),
                limit=lookup.count,
                with_payload=models.PayloadSelectorExclude(exclude=list(lookup.leave_out)),
            )
            for lookup in lookups
        ]
        with qdrant_faults():
            answers = await self._client.query_batch_points(self._name, requests)
        return [[Record(str(point.id), point.payload or {}) for point in answer.points] for answer in answers]

    async def page(
        self,
        owner: str,
        conditions: models.Filter,
        count: int,
        *,
        order: Order | None = None,
        first: str | None = None,
    ) -> list[Record]:
        """Give an owner's points, ordered by a field; without an order, by their ids from the `first` on.

        Raises:
            Unavailable, GlobalFault, Rejected: there is no answer.

        """
        with qdrant_faults():
            records, _ = await self._client.scroll(
                self._name,
                scroll_filter=owned(owner, conditions),
                limit=count,
                offset=first,
                order_by=None if order is None else order.by,
                with_payload=True,
            )
        return [Record(str(record.id), record.payload or {}) for record in records]

    async def aclose(self) -> None:
        """Close the connections."""
        if self._wire is not None:
            self._wire.close()
        await self._client.close()


@contextmanager
def qdrant_faults() -> Iterator[None]:
    """Translate what qdrant-client raises into the errors that say what to do about it."""
    try:
        yield
    except ResourceExhaustedResponse as error:
        raise Throttled(DEPENDENCY, f"too many requests: {error.message}", float(error.retry_after_s)) from error
    except QdrantException as error:
        # The other reason for it: a 429 whose Retry-After is no whole number.
        raise Throttled(DEPENDENCY, f"too many requests: {error}") from error
    except ResponseHandlingException as error:
        raise unanswered(DEPENDENCY, error.source) from error
    except UnexpectedResponse as error:
        message = error.content.decode(errors="replace")
        retry_after = read_retry_after(error.headers)
        raise refusal(DEPENDENCY, error.status_code or _NO_STATUS, message, retry_after) from error
    except OSError as error:
        raise unanswered(DEPENDENCY, error) from error
