"""Carries out operations, several at once, and records what is sent and answered."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from random import Random
from typing import Any

import httpx
from reliability.history import Answered, Asking, BatchAnswered, Deleted, Deleting, History, Sent, StateRead, Verified
from reliability.operations import Message, Operation
from reliability.reads import Reader, hits_of, search

from memstream.runtime.backoff import Backoff
from memstream.runtime.clock import Clock

_SENDERS = 6
_LOOKS = 8
"""At a receipt, until it says that the deletion is done; some last for as long as the faults."""


class Traffic:
    """Sends a run's operations, and calls `begin` with the number of each that begins."""

    def __init__(
        self, reader: Reader, history: History, clock: Clock, chance: Random, begin: Callable[[int], None]
    ) -> None:
        self._reader = reader
        self._ingest = reader.ingest
        self._history = history
        self._clock = clock
        self._chance = chance
        self._begin = begin
        self._backoff = Backoff(initial=0.05, maximum=1.0)
        self._last_requests: dict[str, tuple[str, str | None]] = {}
        """By user: the receipt's id of the deletion that was answered last, and the message, if it names one."""

    async def run(self, operations: Sequence[Operation]) -> None:
        """Carry out all operations."""
        waiting = iter(enumerate(operations))
        async with asyncio.TaskGroup() as senders:
            for _ in range(_SENDERS):
                senders.create_task(self._carry_out_next(waiting))

    async def _carry_out_next(self, operations: Iterator[tuple[int, Operation]]) -> None:
        for number, operation in operations:
            await self._clock.sleep(operation.pause)
            self._begin(number)
            failures = 0
            while not await self._carry_out(operation) and not operation.gives_up:
                failures += 1
                await self._clock.sleep(self._backoff.delay(failures, self._chance))

    async def _carry_out(self, operation: Operation) -> bool:
        """Do it once, and return whether there was an answer."""
        message = operation.messages[0]
        match operation.kind:
            case "single" | "batch":
                return await self._send(operation)
            case "delete":
                return await self._forget(message.user, message.message_id)
            case "erase":
                return await self._forget(message.user, None)
            case "search":
                await search(
                    self._reader.retriever, self._history, message, mode=self._chance.choice(("hybrid", "keyword"))
                )
            case "ask":
                await self._ask(message)
            case "verify":
                await self._verify(message)
        # Nobody has to know the answer to a question.
        return True

    async def _send(self, operation: Operation) -> bool:
        call = self._history.call()
        for line, message in enumerate(operation.messages):
            self._history.add(
                Sent(call, line, message.user, message.message_id, message.text, operation.lane, message.valid)
            )
        try:
            # A single message has no lane of its own to choose; it is a batch of one then.
            answer = await (
                self._post_lines(operation)
                if operation.kind == "batch" or operation.lane == "bulk"
                else self._post_one(operation)
            )
        except httpx.TransportError as error:
            return self._unknown(call, operation, type(error).__name__)
        if answer.status_code == HTTPStatus.TOO_MANY_REQUESTS or answer.is_server_error:
            return self._unknown(call, operation, f"HTTP {answer.status_code}")
        self._record(call, operation, answer)
        return True

    async def _post_one(self, operation: Operation) -> httpx.Response:
        return await self._ingest.post(
            "/v1/messages", content=operation.messages[0].line.encode(), headers={"content-type": "application/json"}
        )

    async def _post_lines(self, operation: Operation) -> httpx.Response:
        return await self._ingest.post(
            "/v1/messages/batch",
            content="\n".join(message.line for message in operation.messages).encode(),
            params={"lane": operation.lane},
            headers={"content-type": "application/x-ndjson"},
        )

    def _unknown(self, call: int, operation: Operation, reason: str) -> bool:
        for line, message in enumerate(operation.messages):
            self._history.add(Answered(call, line, message.user, message.message_id, "unknown", reason=reason))
        return False

    def _record(self, call: int, operation: Operation, answer: httpx.Response) -> None:
        body: dict[str, Any] = answer.json()
        if answer.is_success and "results" in body:
            self._history.add(BatchAnswered(call, body["accepted"], body["duplicates"], body["rejected"]))
            results: list[dict[str, Any]] = body["results"]
        else:
            results = [
                {"index": 0, **body} if answer.is_success else {"index": line, "error": answer.text[:200]}
                for line in range(len(operation.messages))
            ]
        for result in results:
            line = result["index"]
            self._history.add(_answered(call, line, operation.messages[line], result))

    async def _forget(self, user: str, message_id: str | None) -> bool:
        call = self._history.call()
        self._history.add(Deleting(call, user, message_id))
        path = "/v1/users" if message_id is None else "/v1/messages"
        params = {"user_id": user} | ({} if message_id is None else {"message_id": message_id})
        erasure_id: str | None = None
        try:
            answer = await self._ingest.delete(path, params=params)
        except httpx.TransportError:
            pass
        else:
            if answer.status_code == HTTPStatus.ACCEPTED:
                erasure_id = answer.json()["erasure_id"]
        self._history.add(Deleted(call, erasure_id))
        if erasure_id is not None:
            self._last_requests[user] = erasure_id, message_id
        return erasure_id is not None

    async def _verify(self, message: Message) -> None:
        if message.user not in self._last_requests:
            return
        erasure_id, named = self._last_requests[message.user]
        call, state = await self._wait_until_done(erasure_id)
        if state is None:
            return
        left: list[tuple[str, str]] = []
        if state == "done":
            searched = message if named is None else Message(message.user, named, "")
            points = await self._reader.points([message.user], named) or ()
            hits = await hits_of(self._reader.retriever, searched, mode="keyword") or ()
            left = [(point.message_id, point.text) for point in points]
            left += [hit for hit in hits if named in {None, hit[0]}]
        self._history.add(Verified(call, erasure_id, state, left))

    async def _wait_until_done(self, erasure_id: str) -> tuple[int, str | None]:
        """Return what a receipt says, which may be that the deletion is still to come; None without an answer.

        With it comes the number of the call that was answered so.
        """
        call, state = 0, None
        for look in range(1, _LOOKS + 1):
            call = self._history.call()
            self._history.add(Asking(call))
            receipt = await self._reader.receipt(erasure_id)
            state = None if receipt is None else receipt[1]
            if state not in {None, "pending"}:
                break
            await self._clock.sleep(self._backoff.delay(look, self._chance))
        return call, state

    async def _ask(self, message: Message) -> None:
        call = self._history.call()
        self._history.add(Asking(call))
        read = await self._reader.state(message.user, message.message_id)
        if read is None:
            return
        state, reason = read
        there = await self._reader.is_there(message.user, message.message_id) if state == "stored" else None
        self._history.add(StateRead(call, message.user, message.message_id, state, there, reason))


def _answered(call: int, line: int, message: Message, result: dict[str, Any]) -> Answered:
    if "position" not in result:
        return Answered(call, line, message.user, message.message_id, "refused", reason=str(result["error"]))
    return Answered(
        call,
        line,
        message.user,
        message.message_id,
        "deleted" if result["deleted"] else "accepted",
        position=result["position"],
        duplicate=result["duplicate"],
    )
