"""The requests that reach the collection in Qdrant.

Whatever reads or deletes points takes an `OwnedFilter`, or the ids of points, which are made from an owner.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from ssl import SSLContext
from typing import Any, NewType, TypeVar
from urllib.parse import quote

import httpx
import msgspec
import numpy as np
import numpy.typing as npt
import orjson
from pydantic import BaseModel
from qdrant_client import AsyncQdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

from memstream.runtime.errors import AnswerTooLarge, Rejected, Unavailable
from memstream.vectors.server_errors import error_for_unreadable_answer, read_retry_after
from memstream.vectors.store.memory import DEPENDENCY, Residue
from memstream.vectors.store.messages import Record, StoredMessage
from memstream.vectors.store.qdrant.copies import NO_AGREEMENT, Agreement
from memstream.vectors.store.qdrant.faults import error_for_answer, qdrant_faults, readable
from memstream.vectors.store.qdrant.filters import CountFilter, DeletionFilter, OwnedFilter, not_after
from memstream.vectors.store.qdrant.scored_queries import Query, QueryAnswer, batch_body
from memstream.vectors.transport import HttpTransport, is_direct

AnswerT = TypeVar("AnswerT")
UpdatedT = TypeVar("UpdatedT", "_Updated", "_AllUpdated")

PointId = NewType("PointId", str)
"""The id of a point, as an `Owner` makes it."""

_PORT = 6333
"""Where Qdrant is asked when its URL names no port."""

_MAX_BYTES = 16 * 2**20
"""Larger answers are not read to the end: what they hold would be in memory several times."""

_OK = 200
_NOT_FOUND = 404


@dataclass(frozen=True, slots=True)
class Lookup:
    """Points to return as they are: those of these ids, or the first `limit` in an order."""

    filter: OwnedFilter
    limit: int
    order_by: str | None = None
    start: datetime | None = None
    descending: bool = False
    without: tuple[str, ...] = ()
    """Fields of the payload to leave out."""

    @property
    def order(self) -> models.OrderBy | None:
        """The order as the client takes it."""
        if self.order_by is None:
            return None
        direction = models.Direction.DESC if self.descending else models.Direction.ASC
        return models.OrderBy(key=self.order_by, direction=direction, start_from=self.start)

    def written(self) -> dict[str, Any]:
        """Return the lookup as it stands in the body of a batch of queries."""
        body: dict[str, Any] = {
            "filter": self.filter.json,
            "limit": self.limit,
            "with_payload": {"exclude": self.without} if self.without else True,
        }
        if self.order_by is not None:
            order: dict[str, Any] = {"key": self.order_by, "direction": "desc" if self.descending else "asc"}
            if self.start is not None:
                order["start_from"] = self.start.isoformat()
            body["query"] = {"order_by": order}
        return body


class _Facet(msgspec.Struct, gc=False):
    value: str


class _FacetHits(msgspec.Struct, gc=False):
    hits: list[_Facet]


class _Answers(msgspec.Struct, gc=False):
    result: list[QueryAnswer]


class _FoundPoint(msgspec.Struct, gc=False):
    id: str
    payload: StoredMessage


class _FoundPoints(msgspec.Struct, gc=False):
    points: list[_FoundPoint]


class _LookedUp(msgspec.Struct, gc=False):
    result: list[_FoundPoints]


class _Facets(msgspec.Struct, gc=False):
    result: _FacetHits


class _Stored(msgspec.Struct, gc=False):
    id: str
    payload: dict[str, Any]


class _AllStored(msgspec.Struct, gc=False):
    result: list[_Stored]


class _Updated(BaseModel):
    result: models.UpdateResult


class _AllUpdated(BaseModel):
    result: list[models.UpdateResult]


class _Answered(BaseModel):
    result: Any


class Collection:
    """The requests of one collection, through Qdrant's REST interface."""

    def __init__(  # noqa: PLR0913 - what a connection has, by name
        self,
        *,
        url: str,
        api_key: str | None,
        name: str,
        timeout: float,
        connections: int,
        verify: SSLContext | bool = True,
        agreement: Agreement = NO_AGREEMENT,
    ) -> None:
        self.name = name
        self._agreement = agreement
        headers = {} if api_key is None else {"api-key": api_key}
        self.client = AsyncQdrantClient(
            url=url,
            # As `api_key`, the client would warn of every server without TLS, also of one on this machine.
            headers=headers,
            timeout=max(1, int(timeout)),
            check_compatibility=False,
            # The server makes the BM25 vectors; without this the client would look for a model of its own.
            cloud_inference=True,
            verify=verify,
            # Connections to this machine are kept alive only when limits are given.
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
        )
        self._transport: HttpTransport | None = None
        if is_direct(url):
            self._transport = HttpTransport(
                url, port=_PORT, headers=headers, timeout=max(1, int(timeout)), max_bytes=_MAX_BYTES
            )

    @property
    def _ordering(self) -> models.WriteOrdering | None:
        return None if self._agreement.ordering is None else models.WriteOrdering(self._agreement.ordering)

    @property
    def _consistency(self) -> models.ReadConsistencyType | None:
        return None if self._agreement.consistency is None else models.ReadConsistencyType(self._agreement.consistency)

    async def upsert(self, points: Sequence[Mapping[str, Any]], newest_ms: int) -> None:
        """Store points, but for those whose stored version comes from an entry after `newest_ms`.

        Raises:
            Unavailable, GlobalFault, Rejected: they are not stored, or not known to be.

        """
        body: dict[str, Any] = {"points": points}
        # An upsert may be late by any time: meanwhile its user was erased, and the message said anew and stored. To
        # overwrite that would be to lose it, for what is found to be deleted after an upsert is removed again.
        if newest_ms:
            body["update_filter"] = not_after(newest_ms)
        answer = await self._write("PUT", "/points", body, _Updated)
        _completed(answer.result, "an upsert")

    async def update(self, operations: Sequence[Mapping[str, Any]]) -> None:
        """Apply writes in order, in one request.

        Raises:
            Unavailable, GlobalFault, Rejected: they are not all applied, or not known to be.

        """
        answer = await self._write("POST", "/points/batch", {"operations": operations}, _AllUpdated)
        if len(answer.result) != len(operations):
            raise Unavailable(DEPENDENCY, "it answered to other writes than it was sent")
        for result in answer.result:
            _completed(result, "an update")

    async def _write(self, method: str, path: str, body: Mapping[str, Any], form: type[UpdatedT]) -> UpdatedT:
        try:
            content = orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)
        except orjson.JSONEncodeError as error:
            raise Rejected(f"not to be written as JSON: {error}") from error
        with qdrant_faults():
            # The client's own transport, without its models: decision 0008 has the reason.
            return await self.client.http.client.request(
                type_=form,
                method=method,
                url="/collections/{name}" + path,
                path_params={"name": self.name},
                params=self._agreement.of_writes(),
                headers={"Content-Type": "application/json"},
                content=content,
            )

    async def retrieve(self, points: Sequence[PointId], fields: Sequence[str]) -> dict[PointId, dict[str, Any]]:
        """Return these fields of the points that are there, by their ids.

        Raises:
            Unavailable, GlobalFault, Rejected: there is no answer.

        """
        if not points:
            return {}
        body = {"ids": points, "with_payload": {"include": fields}, "with_vector": False}
        try:
            answer = await self._read("/points", orjson.dumps(body), _AllStored)
        except AnswerTooLarge:
            if len(points) == 1:
                raise
            middle = len(points) // 2
            return await self.retrieve(points[:middle], fields) | await self.retrieve(points[middle:], fields)
        return {PointId(one.id): one.payload for one in answer.result}

    async def delete(self, which: DeletionFilter) -> None:
        """Delete the points of a filter.

        Raises:
            Unavailable, GlobalFault, Rejected: they are not deleted, or not known to be.

        """
        with qdrant_faults():
            result = await self.client.delete(
                self.name, models.FilterSelector(filter=which.model), wait=True, ordering=self._ordering
            )
        _completed(result, "a deletion")

    async def ids(self, which: DeletionFilter, limit: int) -> list[PointId]:
        """Return the ids of the first points of a filter.

        Raises:
            Unavailable, GlobalFault, Rejected: there is no answer.

        """
        with qdrant_faults():
            records, _ = await self.client.scroll(
                self.name,
                scroll_filter=which.model,
                limit=limit,
                with_payload=False,
                with_vectors=False,
                consistency=self._consistency,
            )
        return [PointId(str(record.id)) for record in records]

    async def count(self, which: CountFilter) -> int:
        """Return the exact number of points of a filter.

        Raises:
            Unavailable, GlobalFault, Rejected: there is no answer.

        """
        with qdrant_faults():
            return (await self.client.count(self.name, which.model, exact=True)).count

    async def query(self, queries: Sequence[Query]) -> list[QueryAnswer]:
        """Return the answers to a batch of queries, in one round trip.

        Raises:
            Unavailable, GlobalFault, Rejected: there is no answer.

        """
        return (await self._read("/points/query/batch", batch_body(queries), _Answers)).result

    async def _read(self, path: str, content: bytes, form: type[AnswerT]) -> AnswerT:
        """Post a request that changes nothing, through the transport if there is one; return what answers it."""
        if self._transport is None:
            with qdrant_faults():
                answer = await self.client.http.client.request(
                    type_=_Answered,
                    method="POST",
                    url="/collections/{name}" + path,
                    path_params={"name": self.name},
                    params=self._agreement.of_reads(),
                    headers={"Content-Type": "application/json"},
                    content=content,
                )
            with readable():
                return msgspec.json.decode(orjson.dumps({"result": answer.result}), type=form)
        with qdrant_faults():
            query = "".join(f"?{name}={value}" for name, value in self._agreement.of_reads().items())
            response = await self._transport.post(f"/collections/{quote(self.name, safe='')}{path}{query}", content)
        if response.status != _OK:
            message = response.content.decode(errors="replace")
            raise error_for_answer(response.status, message, read_retry_after(response.headers))
        with readable():
            return msgspec.json.decode(response.content, type=form)

    async def look_up(self, lookups: Sequence[Lookup]) -> list[list[Record]]:
        """Return the points of several lookups, in one round trip.

        Raises:
            Unavailable, GlobalFault, Rejected: there is no answer.

        """
        if not lookups:
            return []
        body = orjson.dumps({"searches": [lookup.written() for lookup in lookups]})
        answers = (await self._read("/points/query/batch", body, _LookedUp)).result
        if len(answers) != len(lookups):
            raise error_for_unreadable_answer(DEPENDENCY, ValueError("not one answer for each lookup"))
        return [[Record(point.id, point.payload) for point in answer.points] for answer in answers]

    async def scroll(self, lookup: Lookup, *, first: str | None = None) -> list[Record]:
        """Return the points of a lookup; without an order, by their ids from the `first` on.

        Raises:
            Unavailable, GlobalFault, Rejected: there is no answer.

        """
        with qdrant_faults():
            records, _ = await self.client.scroll(
                self.name,
                scroll_filter=lookup.filter.model,
                limit=lookup.limit,
                offset=first,
                order_by=lookup.order,
                with_payload=True,
                consistency=self._consistency,
            )
        return _records(records)

    async def vectors(
        self, name: str, which: OwnedFilter, limit: int, first: str | None
    ) -> tuple[dict[str, list[float]], str | None]:
        """Return a named vector of the points of a filter by their ids, from the `first` on, and the id to go on from.

        Raises:
            Unavailable, GlobalFault, Rejected: there is no answer.

        """
        with qdrant_faults():
            records, following = await self.client.scroll(
                self.name,
                scroll_filter=which.model,
                limit=limit,
                offset=first,
                with_payload=False,
                with_vectors=[name],
                consistency=self._consistency,
            )
        with readable():
            found = msgspec.convert(
                {str(record.id): (record.vector or {})[name] for record in records if isinstance(record.vector, dict)},
                dict[str, list[float]],
            )
        return found, None if following is None else str(following)

    async def set_vectors(self, name: str, vectors: Mapping[str, npt.NDArray[np.float32]]) -> None:
        """Write a named vector of points that exist; their other vectors and their payload stay.

        Raises:
            Unavailable, GlobalFault, Rejected: they are not written, or not known to be.

        """
        points = [models.PointVectors(id=point, vector={name: row.tolist()}) for point, row in vectors.items()]
        with qdrant_faults():
            result = await self.client.update_vectors(self.name, points, wait=True, ordering=self._ordering)
        _completed(result, "an update of vectors")

    async def residue(self) -> Residue | None:
        """Return until when the files may hold bytes of deleted points; None if this Qdrant does not tell.

        Raises:
            Unavailable, GlobalFault, Rejected: there is no answer.

        """
        with qdrant_faults():
            try:
                answer = await self.client.http.client.request(
                    type_=_Answered, method="GET", url="/collections/{name}/residue", path_params={"name": self.name}
                )
            except UnexpectedResponse as error:
                if error.status_code == _NOT_FOUND:
                    return None
                raise
        with readable():
            return msgspec.convert(answer.result, Residue)

    async def facet(self, field: str, which: OwnedFilter, limit: int) -> list[str]:
        """Return the values of a keyword field, those of the most points first.

        Raises:
            Unavailable, GlobalFault, Rejected: there is no answer.

        """
        body = orjson.dumps({"key": field, "filter": which.json, "limit": limit})
        return [hit.value for hit in (await self._read("/facet", body, _Facets)).result.hits]

    async def aclose(self) -> None:
        """Close the connections."""
        if self._transport is not None:
            self._transport.close()
        await self.client.close()


def _completed(result: models.UpdateResult, what: str) -> None:
    if result.status is not models.UpdateStatus.COMPLETED:
        # `acknowledged` and `wait_timeout` look like success, and promise nothing.
        raise Unavailable(DEPENDENCY, f"{what} ended as {result.status.value!r}")


def _records(points: Sequence[models.ScoredPoint] | Sequence[models.Record]) -> list[Record]:
    with readable():
        return [Record(str(point.id), StoredMessage.read(point.payload or {})) for point in points]


def read_payload(payload: Mapping[str, Any]) -> StoredMessage:
    """Return the message in a point's payload.

    Raises:
        Unavailable: there is none in it.

    """
    with readable():
        return StoredMessage.read(payload)
