"""The fast path and plain routes answer as FastAPI's routes do, whatever happens in the endpoint."""

import contextlib
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import Response
from pydantic import TypeAdapter
from starlette.exceptions import HTTPException
from starlette.routing import Route

from memstream.runtime.errors import (
    GlobalFault,
    Invalid,
    Late,
    MemstreamError,
    Overloaded,
    Rejected,
    TooLarge,
    Unavailable,
)
from memstream.web.application import make_application


class Foreseen(Unavailable):
    """An error derived from one that is known."""


ERRORS = [
    HTTPException(401, "who?"),
    Unavailable("Redis", "gone", 3.2),
    Foreseen("Redis", "gone"),
    GlobalFault("embeddings", "no quota"),
    Overloaded("too much", 7),
    Invalid("field", "is wrong"),
    TooLarge("body", "is over the limit of 3 bytes"),
    Rejected("no"),
    MemstreamError("nobody expects this"),
    KeyError("nor this"),
]


@contextlib.asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Need nothing."""
    yield


async def each_way(error: Exception | None, method: str = "POST") -> list[httpx.Response]:
    """Send the same request to an endpoint on the fast path, on a plain route and on a route of FastAPI."""

    async def endpoint(request: Request) -> Response:
        if error is not None:
            raise error
        TypeAdapter(int).validate_json(await request.body())
        return Response("done", 202)

    answers = []
    for app in (
        make_application("t", "t", lifespan, fast_path={("POST", "/a"): endpoint}),
        make_application("t", "t", lifespan, routes=[Route("/a", endpoint, methods=["POST"])]),
        make_application("t", "t", lifespan),
    ):
        app.post("/a")(endpoint)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            answers.append(await client.request(method, "/a", content=b"x" if error is None else b"1"))
    return answers


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_an_error_is_the_same_problem(error: Exception) -> None:
    fast, *others = await each_way(error)

    assert fast.status_code >= 400
    assert fast.headers["content-type"] == "application/problem+json"
    for other in others:
        assert (fast.status_code, fast.content, fast.headers) == (other.status_code, other.content, other.headers)


async def test_who_is_late_is_not_said_to_be_out_of_reach() -> None:
    late, gone = [(await each_way(kind("Qdrant", "no answer")))[0].json() for kind in (Late, Unavailable)]

    assert (late["detail"], gone["detail"]) == ("Qdrant did not answer in time", "Qdrant is out of reach")


async def test_a_body_that_does_not_fit_is_the_same_problem() -> None:
    fast, *others = await each_way(None)

    assert fast.status_code == 400
    assert all((fast.content, fast.headers) == (other.content, other.headers) for other in others)


async def test_another_method_is_refused_and_the_right_one_named() -> None:
    fast, *others = await each_way(None, "PUT")

    assert (fast.status_code, fast.headers["allow"]) == (405, "POST")
    assert all((fast.content, fast.headers) == (other.content, other.headers) for other in others)


async def test_the_fast_path_takes_exactly_its_methods_and_paths() -> None:
    async def endpoint(_: Request) -> Response:
        return Response("fast")

    app = make_application("t", "t", lifespan, fast_path={("GET", "/a"): endpoint})
    app.get("/{rest:path}")(lambda: "routed")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
        assert (await client.get("/a")).text == "fast"
        assert [(await client.get(path)).json() for path in ("/a/", "/A", "/b")] == ["routed"] * 3
