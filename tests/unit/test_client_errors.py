"""How an answer becomes an error, and which errors a call is repeated for."""

import json
from random import Random

import httpx
import pytest

import memstream.client
from memstream.client import (
    ONCE,
    ConnectionFailed,
    Forbidden,
    InvalidRequest,
    Memstream,
    MemstreamClientError,
    NotFound,
    Overloaded,
    Retries,
    ServerFault,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from memstream.contracts.problems import Problem, ProblemType

URL = "http://retriever/v1/search"


def seeded() -> Random:
    return Random(1)  # noqa: S311 - jitter


class Script:
    """A transport that gives prepared answers in order, and keeps the requests."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.requests: list[httpx.Request] = []
        self.waits: list[float] = []
        self._answers = iter(answers)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    def memory(self, retries: Retries = Retries()) -> Memstream:  # noqa: B008 - frozen
        return Memstream(
            ingest_url="http://ingest/",
            retriever_url="http://retriever",
            api_key="key",
            transport=httpx.MockTransport(self),
            sleep=self.sleep,
            rng=seeded(),
            retries=retries,
        )


async def error_of(response: httpx.Response) -> MemstreamClientError:
    """Search once, get this answer, and return the error that it becomes."""
    async with Script(response).memory(ONCE) as memory:
        with pytest.raises(MemstreamClientError) as raised:
            await memory.search("ana", "where?")
    return raised.value


def test_the_package_exports_what_it_says() -> None:
    assert set(memstream.client.__all__) == {
        name for name in vars(memstream.client) if name[0].isupper() and not name.startswith("_")
    }


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidRequest),
        (401, Unauthenticated),
        (403, Forbidden),
        (404, NotFound),
        (405, InvalidRequest),
        (413, TooLarge),
        (415, InvalidRequest),
        (422, InvalidRequest),
        (429, Overloaded),
        (500, ServerFault),
        (502, Unavailable),
        (503, Unavailable),
        (504, Unavailable),
        (307, ServerFault),
    ],
)
async def test_a_status_has_one_error(status: int, kind: type[MemstreamClientError]) -> None:
    error = await error_of(httpx.Response(status))

    assert type(error) is kind
    assert error.status == status
    assert str(error) == f"{URL} answered {status}"


async def test_a_problem_names_its_fields_in_one_line() -> None:
    problem = {
        "type": ProblemType.INVALID,
        "title": "Invalid",
        "status": 422,
        "detail": "The message is not valid.",
        "errors": [{"field": "text", "message": "is\nblank"}],
    }

    error = await error_of(httpx.Response(422, json=problem))

    assert isinstance(error, InvalidRequest)
    assert [(e.field, e.message) for e in error.errors] == [("text", "is\nblank")]
    assert error.type is ProblemType.INVALID
    assert str(error) == "The message is not valid.; text: is blank"


@pytest.mark.parametrize(
    ("header", "seconds"), [("3", 3.0), ("0.5", 0.5), (None, None), ("soon", None), ("-1", None), ("nan", None)]
)
async def test_retry_after_is_read_in_seconds(header: str | None, seconds: float | None) -> None:
    error = await error_of(httpx.Response(503, headers={"retry-after": header} if header else {}))

    assert isinstance(error, Unavailable)
    assert error.retry_after == seconds


async def test_what_is_not_a_problem_is_quoted_shortly() -> None:
    error = await error_of(httpx.Response(502, content=b"<html>" + b"x" * 5000))

    assert error.problem is None
    assert len(str(error)) < 300


@pytest.mark.parametrize(
    "error",
    [InvalidRequest("no"), Unauthenticated("no"), Forbidden("no"), NotFound("no"), ServerFault("no")],
    ids=lambda error: type(error).__name__,
)
def test_what_fails_for_good_is_not_repeated(error: MemstreamClientError) -> None:
    assert Retries().wait(error, 1, 0.0, seeded()) is None


def test_waits_grow_up_to_a_bound() -> None:
    retries = Retries(deadline=1000, unreachable=1000, initial=0.1, maximum=5.0)

    waits = [retries.wait(ConnectionFailed("gone"), attempt, 0.0, seeded()) for attempt in (1, 2, 3, 20, 5000)]

    bounds = [0.1, 0.2, 0.4, 5.0, 5.0]
    assert all(wait is not None and bound / 2 <= wait <= bound for wait, bound in zip(waits, bounds, strict=True))


def test_retry_after_is_waited_for_in_full_and_never_much_longer() -> None:
    wait = Retries().wait(Overloaded("later", retry_after=4.0), 1, 0.0, seeded())

    assert wait is not None
    assert 4.0 <= wait <= 4.4


def test_a_wait_beyond_the_deadline_is_not_begun() -> None:
    assert Retries(deadline=10).wait(Unavailable("down", retry_after=8.0), 1, 5.0, seeded()) is None
    assert ONCE.wait(Unavailable("down"), 1, 0.0, seeded()) is None


def test_silence_is_borne_for_a_shorter_time_than_a_refusal() -> None:
    retries = Retries(deadline=float("inf"), unreachable=30.0)

    assert retries.wait(ConnectionFailed("gone"), 3, 31.0, seeded()) is None
    assert retries.wait(Overloaded("later"), 3, 31.0, seeded()) is not None


ACCEPTED = {"message_id": "m", "position": "0.live.1-1", "duplicate": False}
ANSWER = {"hits": [], "degraded": False, "pending": [], "model": "x", "took_ms": 1}


async def test_a_lost_answer_is_asked_for_again_with_the_same_message_id() -> None:
    script = Script(httpx.ReadError("cut off"), httpx.Response(503), httpx.Response(202, json=ACCEPTED))

    async with script.memory() as memory:
        accepted = await memory.send({"user_id": "ana", "text": "hello"})

    assert accepted.message_id == "m"
    assert len(script.waits) == 2
    bodies = [json.loads(request.content) for request in script.requests]
    assert bodies[0] == bodies[1] == bodies[2]
    assert bodies[0].keys() == {"user_id", "text", "message_id", "role", "kind", "metadata"}
    assert script.requests[0].headers["authorization"] == "Bearer key"
    assert str(script.requests[0].url) == "http://ingest/v1/messages"


async def test_a_batch_gives_each_message_an_id_and_leaves_bad_ones_to_ingest() -> None:
    out = {"accepted": 0, "duplicates": 0, "rejected": 0, "results": []}
    script = Script(httpx.Response(200, json=out))

    async with script.memory() as memory:
        await memory.send_batch(
            [{"user_id": "ana"}, {"user_id": "ana", "text": "x", "message_id": "mine"}], lane="bulk"
        )

    (request,) = script.requests
    first, second = (json.loads(line) for line in request.content.splitlines())
    assert first["message_id"][14] == "7", "a UUIDv7"
    assert second["message_id"] == "mine"
    assert request.url.params["lane"] == "bulk"
    assert request.headers["content-type"] == "application/x-ndjson"


async def test_what_was_accepted_of_a_batch_is_told_even_if_the_rest_is_refused_for_good() -> None:
    over = {"code": "over-quota", "message": "too many", "limit": "messages_per_second", "retry_after": 1}
    taken = {"index": 0, "message_id": "m-0", "position": "0.live.1-0", "duplicate": False}
    results = [taken, {"index": 1, "error": over}]
    script = Script(
        httpx.Response(200, json={"accepted": 1, "duplicates": 0, "rejected": 1, "results": results}),
        httpx.Response(429, headers={"retry-after": "1000"}),
    )

    async with script.memory() as memory:
        answer = await memory.send_ndjson(b'{"message_id": "m-0"}\n{"message_id": "m-1"}')

    assert (answer.accepted, answer.rejected, len(script.requests)) == (1, 1, 2)


async def test_ids_travel_as_query_parameters() -> None:
    script = Script(httpx.Response(200, json={"message_id": "a/b&c", "state": "stored", "position": "p"}))

    async with script.memory() as memory:
        assert (await memory.state("a?b", "a/b&c")).state == "stored"

    assert script.requests[0].url.path == "/v1/messages/state"
    assert dict(script.requests[0].url.params) == {"user_id": "a?b", "message_id": "a/b&c"}


async def test_a_search_sends_what_was_set_and_nothing_else() -> None:
    script = Script(httpx.Response(200, json=ANSWER))

    async with script.memory() as memory:
        await memory.search("ana", "where?", limit=3, filter={"speaker": "Jonas"})

    assert json.loads(script.requests[0].content) == {
        "user_id": "ana",
        "query": "where?",
        "limit": 3,
        "filter": {"speaker": "Jonas"},
    }


async def test_a_request_that_is_wrong_is_not_sent_at_all() -> None:
    script = Script()

    async with script.memory() as memory:
        with pytest.raises(InvalidRequest) as raised:
            await memory.search("ana", "where?", limit=1000)
        with pytest.raises(InvalidRequest, match="text: Field required"):
            await memory.send({"user_id": "ana"})

    assert [error.field for error in raised.value.errors] == ["limit"]
    assert script.requests == []


async def test_an_answer_that_is_not_memstreams_is_a_fault_of_the_server() -> None:
    script = Script(httpx.Response(200, text="<html>"))

    async with script.memory() as memory:
        with pytest.raises(
            ServerFault, match="the answer from http://retriever/v1/search is not a valid Memstream response"
        ):
            await memory.search("ana", "where?")


async def test_status_is_an_answer_whatever_the_services_say() -> None:
    script = Script(
        httpx.Response(503, json={"status": "unwell", "parts": {"redis": "down", "log": "ok"}}),
        httpx.ConnectError("refused"),
    )

    async with script.memory() as memory:
        status = await memory.status()

    assert not status.ready
    assert status.ingest.reason == "redis: down"
    assert status.retriever.reason == "no answer from http://retriever/health/ready: refused"


async def test_a_problem_of_every_type_is_understood() -> None:
    for kind in ProblemType:
        body = Problem(type=kind, title="t", status=500, detail="d").model_dump_json().encode()
        assert (await error_of(httpx.Response(500, content=body))).type is kind
