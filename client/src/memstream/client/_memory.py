"""The client for a tenant's messages, searches and contexts."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeGuard, Unpack
from urllib.parse import quote

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, to_json

from memstream.client._clock import utc_now
from memstream.client._errors import ConnectionFailed, InvalidRequest, Overloaded, validated
from memstream.client._http import ConnectionOptions, HttpClient, Request
from memstream.client._options import ContextOptions, SearchOptions, TimelineOptions, given
from memstream.client._status import ServiceStatus, Status, parse_readiness
from memstream.contracts.ids import new_message_id
from memstream.contracts.keys import Lane
from memstream.contracts.messages import (
    Accepted,
    AcceptedLine,
    BatchOut,
    Erasure,
    ErasureAccepted,
    MessageIn,
    MessagePut,
    MessageState,
    RejectedLine,
)
from memstream.contracts.searches import (
    ContextIn,
    ContextOut,
    SearchBatchIn,
    SearchBatchOut,
    SearchIn,
    SearchOut,
    SimilarityIn,
    SimilarityOut,
)
from memstream.contracts.timelines import PAGE, TimelineIn, TimelineMessage, TimelineOut

Message = MessageIn | Mapping[str, Any]


class Memstream(HttpClient):
    """A tenant's memory: sends messages, and searches what users said.

    It takes the URLs of the two services and an API key, and is an asynchronous context manager::

        async with Memstream(ingest_url=…, retriever_url=…, api_key=…) as memory:
            sent = await memory.send({"user_id": "ana", "text": "The spare key is under the third flower pot."})
            answer = await memory.search("ana", "Where is the spare key?", wait_for=[sent.position])

    Every method may raise any `MemstreamClientError`. Temporary failures (429, 502, 503, 504, no connection) are
    retried first, for as long as `retries` says. That is safe for writes too: a message without an id gets one before
    it is sent. A request that is not valid raises `InvalidRequest` and is not sent.

    `now` returns the time for the ids of messages; `ConnectionOptions` describes the other optional arguments. Those of
    the methods are described in `SearchOptions`, `ContextOptions` and `TimelineOptions`.
    """

    def __init__(
        self,
        *,
        ingest_url: str,
        retriever_url: str,
        api_key: str,
        now: Callable[[], datetime] = utc_now,
        **options: Unpack[ConnectionOptions],
    ) -> None:
        super().__init__(api_key=api_key, **options)
        self._ingest_url = ingest_url.rstrip("/")
        self._retriever_url = retriever_url.rstrip("/")
        self._now = now

    async def send(self, message: Message) -> Accepted:
        """Record a message, given as a `MessageIn` or as a mapping with the same fields.

        When this returns, the message is durably on the stream; it is searchable a moment later.

        Raises:
            InvalidRequest: a field is missing, unknown or wrong; `errors` names it.
            TooLarge: the message is over a limit of the server.

        """
        body = message if isinstance(message, MessageIn) else validated(MessageIn, message, "message")
        request = Request("POST", f"{self._ingest_url}/v1/messages", self._json(body))
        return await self._call(request, Accepted)

    async def replace(self, message: MessagePut | Mapping[str, Any]) -> Accepted:
        """Replace a message by a new version, given as a `MessagePut` or as a mapping with the same fields.

        All of the stored version is replaced; it keeps when it was recorded and, unless `occurred_at` is given, when it
        was said. When this returns, the new version is durably on the stream.

        Raises:
            InvalidRequest: a field is missing, unknown or wrong; `errors` names it.
            TooLarge: the message is over a limit of the server.

        """
        body = message if isinstance(message, MessagePut) else validated(MessagePut, message, "message")
        content = body.model_dump_json(exclude_none=True).encode()
        return await self._call(Request("PUT", f"{self._ingest_url}/v1/messages", content), Accepted)

    async def send_batch(self, messages: Iterable[Message], *, lane: Lane = "live") -> BatchOut:
        """Record up to 1,000 messages and 8 MiB at once. Each is accepted or rejected on its own.

        Imports use the lane `bulk`: they never delay live messages.
        """
        return await self.send_ndjson(b"\n".join(self._json(message) for message in messages), lane=lane)

    async def send_ndjson(self, lines: bytes, *, lane: Lane = "live") -> BatchOut:
        """Record messages that are JSON lines already.

        Each must have its `message_id`, so that a retry adds nothing twice. Lines over a limit of the tenant are sent
        again when the server says so, as long as each time some are accepted; once `retries` gives up, those that are
        left are rejected.
        """
        answer = await self._send_lines(lines, lane)
        if not any(map(_is_over_quota, answer.results)):
            return answer
        sent = [line for line in lines.split(b"\n") if line.strip()]
        results = {result.index: result for result in answer.results}
        attempt, now = 0, asyncio.get_running_loop().time
        accepted_at = now()
        while over := [result for result in results.values() if _is_over_quota(result)]:
            attempt += 1
            error = _quota_error(over)
            seconds = self._retry_policy.wait(error, attempt, now() - accepted_at, self._rng)
            if seconds is None:
                break
            if self._on_wait is not None:
                self._on_wait(error, seconds)
            await self._sleep(seconds)
            try:
                answer = await self._send_lines(b"\n".join(sent[result.index] for result in over), lane)
            except Overloaded:
                break
            again = [result.model_copy(update={"index": over[result.index].index}) for result in answer.results]
            results |= {result.index: result for result in again}
            if answer.accepted:
                attempt, accepted_at = 0, now()
        return _batch_out([results[index] for index in sorted(results)])

    async def _send_lines(self, lines: bytes, lane: Lane) -> BatchOut:
        request = Request(
            "POST",
            f"{self._ingest_url}/v1/messages/batch",
            lines,
            media_type="application/x-ndjson",
            params={"lane": lane},
        )
        return await self._call(request, BatchOut)

    async def state(self, user_id: str, message_id: str) -> MessageState:
        """Return the state of a message: queued, stored, dead or deleted.

        Raises:
            NotFound: no such message was accepted.

        """
        request = Request(
            "GET",
            f"{self._ingest_url}/v1/messages/state",
            params={"user_id": user_id, "message_id": message_id},
        )
        return await self._call(request, MessageState)

    async def delete_message(self, user_id: str, message_id: str) -> ErasureAccepted:
        """Request the deletion of a message.

        When this returns, the deletion is recorded durably and can't be undone; a moment later no search finds the
        message. `erasure` returns how far it is::

            request = await memory.delete_message("ana", "m-1")
            receipt = await memory.erasure(request.erasure_id)
        """
        params = {"user_id": user_id, "message_id": message_id}
        return await self._call(Request("DELETE", f"{self._ingest_url}/v1/messages", params=params), ErasureAccepted)

    async def erase_user(self, user_id: str) -> ErasureAccepted:
        """Request the erasure of everything that a user said until now; later messages are kept.

        When this returns, the erasure is recorded durably and can't be undone; `erasure` returns how far it is.
        """
        params = {"user_id": user_id}
        return await self._call(Request("DELETE", f"{self._ingest_url}/v1/users", params=params), ErasureAccepted)

    async def erasure(self, erasure_id: str) -> Erasure:
        """Return the receipt of a deletion or an erasure: its state is pending, done or failed.

        Raises:
            NotFound: there is no such receipt, or not any more.

        """
        request = Request("GET", f"{self._ingest_url}/v1/erasures/{quote(erasure_id, safe='')}")
        return await self._call(request, Erasure)

    async def search(self, user_id: str, query: str, **options: Unpack[SearchOptions]) -> SearchOut:
        """Return the messages of a user that are relevant to a question, the most relevant first.

        For example, where Jonas said this year that the key is::

            said = {"speaker": "Jonas", "after": "2026-01-01T00:00:00Z"}
            answer = await memory.search("ana", "Where is the spare key?", limit=3, filter=said)
            for hit in answer.hits:
                print(f"{hit.relevance:.2f} {hit.text}")

        `SearchOptions` describes the keyword arguments. In the answer, `degraded` says that hits were found by words
        only, because the embeddings server can't be reached; `pending` lists the positions of `wait_for` that did not
        become searchable in time.

        Raises:
            InvalidRequest: an argument is not valid; `errors` names it.

        """
        body = validated(SearchIn, {"user_id": user_id, "query": query, **given(options)}, "search")
        return await self._call(self._query("search", body, body.wait_timeout), SearchOut)

    async def context(self, user_id: str, query: str, **options: Unpack[ContextOptions]) -> ContextOut:
        """Return a text for a prompt: what a user said about a question, quoted and numbered.

        For example, with room for 1,500 tokens::

            answer = await memory.context("ana", "Where is the spare key?", token_budget=1500)
            prompt = "I don't know." if answer.abstained else answer.context

        `ContextOptions` describes the keyword arguments. In the answer, `citations` lists the message that each number
        stands for, and `abstained` says that nothing relevant was found.

        Raises:
            InvalidRequest: an argument is not valid; `errors` names it.

        """
        body = validated(ContextIn, {"user_id": user_id, "query": query, **given(options)}, "search")
        return await self._call(self._query("context", body, body.wait_timeout), ContextOut)

    async def search_batch(self, searches: Iterable[SearchIn | Mapping[str, Any]]) -> SearchBatchOut:
        """Return the answers to up to 100 searches, in their order; each is a `SearchIn` or its fields."""
        body = validated(SearchBatchIn, {"searches": list(searches)}, "batch of searches")
        wait_seconds = max((search.wait_timeout for search in body.searches if search.wait_for), default=0.0)
        return await self._call(self._query("search/batch", body, wait_seconds), SearchBatchOut)

    async def timeline(self, user_id: str, **options: Unpack[TimelineOptions]) -> TimelineOut:
        """Return a page of a user's messages, the oldest first; `TimelineOptions` describes the keyword arguments.

        For example, the second page of what was said in 2025::

            year = {"after": "2025-01-01T00:00:00Z", "before": "2026-01-01T00:00:00Z"}
            first = await memory.timeline("ana", **year)
            second = await memory.timeline("ana", cursor=first.cursor, **year)

        Raises:
            InvalidRequest: an argument is not valid; `errors` names it.

        """
        body = validated(TimelineIn, {"user_id": user_id, **given(options)}, "timeline")
        fields = body.model_dump(mode="json", exclude_none=True)
        params = {name: str(value) for name, value in fields.items()}
        return await self._call(Request("GET", f"{self._retriever_url}/v1/timeline", params=params), TimelineOut)

    async def messages(self, user_id: str, **options: Unpack[TimelineOptions]) -> AsyncIterator[TimelineMessage]:
        """Iterate over all of a user's messages, the oldest first; pages are fetched as they are needed.

        For example::

            async for message in memory.messages("ana", conversation_id="kitchen"):
                print(message.occurred_at, message.text)
        """
        if options.get("limit") is None:
            options["limit"] = PAGE
        while True:
            page = await self.timeline(user_id, **options)
            for message in page.messages:
                yield message
            if page.cursor is None:
                return
            options["cursor"] = page.cursor

    async def similarity(self, texts: Iterable[str]) -> SimilarityOut:
        """Return the cosine of every pair of 2 to 100 texts."""
        body = validated(SimilarityIn, {"texts": list(texts)}, "list of texts")
        return await self._call(self._query("similarity", body), SimilarityOut)

    async def status(self) -> Status:
        """Return whether both services are ready. A service that is not ready, or not reachable, raises nothing."""
        ingest, retriever = await asyncio.gather(
            self._readiness(self._ingest_url), self._readiness(self._retriever_url)
        )
        return Status(ingest=ingest, retriever=retriever)

    def _query(self, path: str, body: BaseModel, wait_seconds: float = 0.0) -> Request:
        content = body.model_dump_json(exclude_unset=True).encode()
        return Request("POST", f"{self._retriever_url}/v1/{path}", content, server_wait_seconds=wait_seconds)

    async def _readiness(self, url: str) -> ServiceStatus:
        try:
            response = await self._send_once(Request("GET", f"{url}/health/ready"), self._timeout)
        except ConnectionFailed as error:
            return ServiceStatus(url=url, ready=False, reason=str(error))
        return parse_readiness(url, response)

    def _json(self, message: Message) -> bytes:
        """Return a message as one line of JSON, with an id. Only ingest checks the fields of a mapping."""
        if isinstance(message, MessageIn):
            message_id = message.message_id or self._new_id()
            return message.model_copy(update={"message_id": message_id}).model_dump_json(exclude_none=True).encode()
        try:
            return to_json({**message, "message_id": message.get("message_id") or self._new_id()})
        except PydanticSerializationError as error:
            raise InvalidRequest(f"the message can't be written as JSON: {error}") from error

    def _new_id(self) -> str:
        return new_message_id(self._now(), self._rng)


def _is_over_quota(result: AcceptedLine | RejectedLine) -> TypeGuard[RejectedLine]:
    return isinstance(result, RejectedLine) and result.error.retry_after is not None


def _quota_error(over: Sequence[RejectedLine]) -> Overloaded:
    wait = max(result.error.retry_after or 0 for result in over)
    return Overloaded(f"{len(over)} lines: {over[0].error.message}", retry_after=float(wait))


def _batch_out(results: list[AcceptedLine | RejectedLine]) -> BatchOut:
    accepted = [result for result in results if isinstance(result, AcceptedLine)]
    duplicates = sum(result.duplicate for result in accepted)
    return BatchOut(
        accepted=len(accepted) - duplicates,
        duplicates=duplicates,
        rejected=len(results) - len(accepted),
        results=results,
    )
