"""What the client sends for deletions, erasures and dead letters."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from memstream.client import Forbidden, InvalidRequest, Memstream, Operator
from memstream.contracts.dead_letters import LetterName

DELETED = {"erasure_id": "0-e"}
RECEIPT = {"erasure_id": "0-e", "scope": "user", "state": "done", "requested_at": "2026-01-01T00:00:00Z"}


class Script:
    """A transport that gives prepared answers in order, and keeps the requests."""

    def __init__(self, *answers: httpx.Response | Callable[[httpx.Request], httpx.Response]) -> None:
        self.requests: list[httpx.Request] = []
        self.transport = httpx.MockTransport(self._answer)
        self._answers = iter(answers)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = next(self._answers)
        return answer if isinstance(answer, httpx.Response) else answer(request)

    async def sleep(self, seconds: float) -> None:
        assert seconds > 0

    def memory(self) -> Memstream:
        return Memstream(
            ingest_url="http://ingest/",
            retriever_url="http://retriever",
            api_key="key",
            transport=self.transport,
            sleep=self.sleep,
        )

    def operator(self) -> Operator:
        return Operator(ingest_url="http://ingest/", admin_key="admin", transport=self.transport, sleep=self.sleep)


def letter(number: int) -> dict[str, Any]:
    died = datetime(2026, 1, 1, tzinfo=UTC).isoformat()
    return {"id": f"0.{number}-0", "partition": 0, "class": "poison", "died_at": died, "size": 1}


async def test_a_message_is_replaced_by_a_request_that_names_its_id() -> None:
    accepted = {"message_id": "m", "position": "0.live.1-0", "duplicate": False}
    script = Script(httpx.Response(202, json=accepted))

    async with script.memory() as memory:
        assert not (await memory.replace({"user_id": "ana", "message_id": "m", "text": "new"})).duplicate
        with pytest.raises(InvalidRequest):
            await memory.replace({"user_id": "ana", "text": "new"})

    (request,) = script.requests
    assert (request.method, request.url.path) == ("PUT", "/v1/messages")
    assert json.loads(request.content)["message_id"] == "m"


async def test_a_message_is_deleted_by_ids_in_the_query_and_asked_for_again_after_a_failure() -> None:
    script = Script(httpx.Response(503), httpx.Response(202, json=DELETED))

    async with script.memory() as memory:
        assert (await memory.delete_message("a?b", "a/b&c")).erasure_id == "0-e"

    assert [(request.method, request.url.path) for request in script.requests] == [("DELETE", "/v1/messages")] * 2
    assert dict(script.requests[1].url.params) == {"user_id": "a?b", "message_id": "a/b&c"}


async def test_a_user_is_erased_and_the_receipt_fetched() -> None:
    script = Script(httpx.Response(202, json=DELETED), httpx.Response(200, json=RECEIPT))

    async with script.memory() as memory:
        receipt = await memory.erasure((await memory.erase_user("ana")).erasure_id)

    assert receipt.state == "done"
    assert [str(request.url) for request in script.requests] == [
        "http://ingest/v1/users?user_id=ana",
        "http://ingest/v1/erasures/0-e",
    ]


async def test_an_id_stays_one_part_of_the_path() -> None:
    script = Script(httpx.Response(200, json=RECEIPT), httpx.Response(200, json=letter(1)))

    async with script.memory() as memory, script.operator() as operator:
        await memory.erasure("../users?x")
        await operator.dead_letter("../users?x")

    assert [request.url.raw_path for request in script.requests] == [
        b"/v1/erasures/..%2Fusers%3Fx",
        b"/v1/admin/dead-letters/..%2Fusers%3Fx",
    ]


async def test_all_pages_are_read_even_past_an_empty_one() -> None:
    pages = [([1, 2], "c1"), ([], "c2"), ([3], None)]
    script = Script(
        *(httpx.Response(200, json={"letters": list(map(letter, some)), "cursor": cursor}) for some, cursor in pages)
    )

    async with script.operator() as operator:
        found = [one async for one in operator.dead_letters(limit=2, dead_class="poison")]

    assert [one.id for one in found] == ["0.1-0", "0.2-0", "0.3-0"]
    assert found[0].dead_class == "poison"
    assert [dict(request.url.params) for request in script.requests] == [
        {"class": "poison", "limit": "2", **cursor} for cursor in ({}, {"cursor": "c1"}, {"cursor": "c2"})
    ]
    assert script.requests[0].headers["authorization"] == "Bearer admin"


async def test_many_letters_are_dealt_with_a_thousand_at_a_time() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        named = json.loads(request.content)["ids"]
        return httpx.Response(200, json={"results": [{"id": one, "outcome": "replayed"} for one in named]})

    script = Script(answer, answer)

    async with script.operator() as operator:
        results = await operator.replay([f"0.{number}-0" for number in range(1001)])

    assert [result.id for result in results] == [f"0.{number}-0" for number in range(1001)]
    assert {request.url.path for request in script.requests} == {"/v1/admin/dead-letters/replay"}


async def test_what_is_no_id_is_not_sent() -> None:
    script = Script()

    async with script.operator() as operator:
        with pytest.raises(InvalidRequest, match="the list of ids is not valid"):
            await operator.drop(["x" * 257])
        assert await operator.drop([]) == []


async def test_a_tenants_key_is_refused_for_good() -> None:
    script = Script(httpx.Response(403))

    async with script.operator() as operator:
        with pytest.raises(Forbidden):
            await operator.page()


def test_a_letters_name_is_read_as_it_was_written() -> None:
    name = LetterName.parse("3.17-2")

    assert (str(name), name.order) == ("3.17-2", (17, 2, 3))
    for wrong in ("", "3", "3.17", "-1.1-1", "1024.1-1", f"0.{2**64}-0", "0.1-1 ", "²3.1-1"):
        with pytest.raises(ValueError, match="is not the id of a dead letter"):
            LetterName.parse(wrong)
