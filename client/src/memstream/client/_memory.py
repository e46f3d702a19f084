"""The client."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from random import Random, SystemRandom
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, to_json

from memstream.client._calls import Calls, Request
from memstream.client._clock import utc_now
from memstream.client._errors import ConnectionFailed, InvalidRequest, MemstreamClientError, malformed
from memstream.client._retries import Retries
from memstream.client._status import ServiceStatus, Status, read_health
from memstream.contracts.ids import new_message_id
from memstream.contracts.keys import Lane
from memstream.contracts.messages import Accepted, BatchOut, Erasure, ErasureAccepted, MessageIn, MessageState
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

QuestionT = TypeVar("QuestionT", bound=SearchIn)


class Memstream:
    """A tenant's memory: sends messages, and asks what a user's past says about a question.

    Give it the URLs of the two services and a key, and use it as an asynchronous context::

        async with Memstream(ingest_url=…, retriever_url=…, api_key=…) as memory:
            sent = await memory.send({"user_id": "ana", "text": "The spare key is under the third flower pot."})
            answer = await memory.search("ana", "Where is the spare key?", wait_for=[sent.position])

    Every method may raise any `MemstreamClientError`. What failed for now (429, 503, no connection) is repeated first,
    for as long as `retries` says. That is safe for writes too: a message without an id is given one before it is sent.

    `timeout` is for one attempt, in seconds. `on_wait` is told about each failure that is going to be repeated, and in
    how many seconds. `transport`, `sleep`, `now` and `chance` are what it would otherwise take from the outside.
    """

    def __init__(  # noqa: PLR0913 - named arguments, three of them needed
        self,
        *,
        ingest_url: str,
        retriever_url: str,
        api_key: str,
        timeout: float = 30.0,
        retries: Retries = Retries(),  # noqa: B008 - frozen
        on_wait: Callable[[MemstreamClientError, float], None] | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], datetime] = utc_now,
        chance: Random | None = None,
    ) -> None:
        self._ingest_url = ingest_url.rstrip("/")
        self._retriever_url = retriever_url.rstrip("/")
        self._now = now
        self._chance = chance or SystemRandom()
        self._timeout = timeout
        self._calls = Calls(
            api_key=api_key,
            retries=retries,
            timeout=timeout,
            transport=transport,
            sleep=sleep,
            on_wait=on_wait,
            chance=self._chance,
        )

    async def __aenter__(self) -> Self:
        await self._calls.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._calls.__aexit__(kind, error, trace)

    async def send(self, message: Message) -> Accepted:
        """Record a message. When this returns, it is on the stream durably, and searchable a moment later."""
        try:
            body = message if isinstance(message, MessageIn) else MessageIn.model_validate(message)
        except ValidationError as error:
            raise malformed("message", error) from error
        if body.message_id is None:
            body = body.model_copy(update={"message_id": self._new_id()})
        content = body.model_dump_json(exclude_none=True).encode()
        return await self._calls.ask(Request("POST", f"{self._ingest_url}/v1/messages", content), Accepted)

    async def send_batch(self, messages: Iterable[Message], *, lane: Lane = "live") -> BatchOut:
        """Record up to 1,000 messages and 8 MiB at once; each is taken or refused for itself.

        `lane` is `bulk` for imports, which then never delay live messages.
        """
        return await self.send_ndjson(b"\n".join(self._line(message) for message in messages), lane=lane)

    async def send_ndjson(self, lines: bytes, *, lane: Lane = "live") -> BatchOut:
        """Record messages that are JSON lines already. Each must carry its `message_id`: the call may be repeated."""
        request = Request(
            "POST",
            f"{self._ingest_url}/v1/messages/batch",
            lines,
            media_type="application/x-ndjson",
            params={"lane": lane},
        )
        return await self._calls.ask(request, BatchOut)

    async def state(self, user_id: str, message_id: str) -> MessageState:
        """Say where a message is: queued, stored, dead or deleted."""
        request = Request(
            "GET",
            f"{self._ingest_url}/v1/messages/state",
            params={"user_id": user_id, "message_id": message_id},
        )
        return await self._calls.ask(request, MessageState)

    async def delete_message(self, user_id: str, message_id: str) -> ErasureAccepted:
        """Forget a message. When this returns, nothing brings it back; a moment later no search finds it."""
        return await self._forget("messages", user_id=user_id, message_id=message_id)

    async def erase_user(self, user_id: str) -> ErasureAccepted:
        """Forget all that a user said until now. What the user says from then on is remembered."""
        return await self._forget("users", user_id=user_id)

    async def erasure(self, erasure_id: str) -> Erasure:
        """Say what became of a request to forget: pending, done or failed."""
        request = Request("GET", f"{self._ingest_url}/v1/erasures/{quote(erasure_id, safe='')}")
        return await self._calls.ask(request, Erasure)

    async def search(self, user_id: str, query: str, **fields: Any) -> SearchOut:  # noqa: ANN401 - SearchIn types them
        """Ask what a user's past says about a question; `fields` are those of `SearchIn`, `limit` for example."""
        body = _question_of(SearchIn, user_id=user_id, query=query, **fields)
        return await self._calls.ask(self._question("search", body, body.wait_timeout), SearchOut)

    async def context(self, user_id: str, query: str, **fields: Any) -> ContextOut:  # noqa: ANN401 - ContextIn types them
        """Ask for a text for a prompt; `fields` are those of `ContextIn`, of which `token_budget` is needed."""
        body = _question_of(ContextIn, user_id=user_id, query=query, **fields)
        return await self._calls.ask(self._question("context", body, body.wait_timeout), ContextOut)

    async def search_batch(self, searches: Iterable[SearchIn | Mapping[str, Any]]) -> SearchBatchOut:
        """Ask up to 100 questions at once; the answers come in their order."""
        try:
            body = SearchBatchIn.model_validate({"searches": list(searches)})
        except ValidationError as error:
            raise malformed("batch of searches", error) from error
        patience = max((search.wait_timeout for search in body.searches if search.wait_for), default=0.0)
        return await self._calls.ask(self._question("search/batch", body, patience), SearchBatchOut)

    async def timeline(self, user_id: str, **fields: Any) -> TimelineOut:  # noqa: ANN401 - TimelineIn types them
        """Give a page of a user's messages in time order; `fields` are those of `TimelineIn`, `cursor` for example."""
        try:
            asked = TimelineIn.model_validate({"user_id": user_id, **fields})
        except ValidationError as error:
            raise malformed("timeline", error) from error
        params = asked.model_dump(mode="json", exclude_none=True)
        request = Request(
            "GET", f"{self._retriever_url}/v1/timeline", params={name: str(value) for name, value in params.items()}
        )
        return await self._calls.ask(request, TimelineOut)

    async def messages(self, user_id: str, **fields: Any) -> AsyncIterator[TimelineMessage]:  # noqa: ANN401 - as above
        """Give all of a user's messages in time order, page by page as they are read; `fields` as of `timeline`."""
        while True:
            page = await self.timeline(user_id, **{"limit": PAGE, **fields})
            for message in page.messages:
                yield message
            if page.cursor is None:
                return
            fields = {**fields, "cursor": page.cursor}

    async def similarity(self, texts: Iterable[str]) -> SimilarityOut:
        """Compare 2 to 100 texts with each other."""
        try:
            body = SimilarityIn(texts=list(texts))
        except ValidationError as error:
            raise malformed("list of texts", error) from error
        return await self._calls.ask(self._question("similarity", body), SimilarityOut)

    async def status(self) -> Status:
        """Ask both services whether they can serve. Raises nothing for one that can't: that is the answer."""
        ingest, retriever = await asyncio.gather(self._health(self._ingest_url), self._health(self._retriever_url))
        return Status(ingest=ingest, retriever=retriever)

    async def _forget(self, what: str, **params: str) -> ErasureAccepted:
        request = Request("DELETE", f"{self._ingest_url}/v1/{what}", params=params)
        return await self._calls.ask(request, ErasureAccepted)

    def _question(self, path: str, body: SearchIn | SearchBatchIn | SimilarityIn, patience: float = 0.0) -> Request:
        content = body.model_dump_json(exclude_unset=True).encode()
        return Request("POST", f"{self._retriever_url}/v1/{path}", content, patience=patience)

    async def _health(self, url: str) -> ServiceStatus:
        try:
            response = await self._calls.once(Request("GET", f"{url}/health/ready"), self._timeout)
        except ConnectionFailed as error:
            return ServiceStatus(url=url, ready=False, reason=str(error))
        return read_health(url, response)

    def _new_id(self) -> str:
        return new_message_id(self._now(), self._chance)

    def _line(self, message: Message) -> bytes:
        if isinstance(message, MessageIn):
            known = message.message_id or self._new_id()
            return message.model_copy(update={"message_id": known}).model_dump_json(exclude_none=True).encode()
        fields = dict(message)
        fields["message_id"] = fields.get("message_id") or self._new_id()
        try:
            return to_json(fields)
        except PydanticSerializationError as error:
            raise InvalidRequest(f"a message can't be written as JSON: {error}") from error


def _question_of(kind: type[QuestionT], **fields: Any) -> QuestionT:  # noqa: ANN401 - the body types them
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        raise malformed("search", error) from error
