"""The short way to a route answers as the long one does, whatever happens there."""

import contextlib
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import Response
from pydantic import TypeAdapter
from starlette.exceptions import HTTPException

from memstream.runtime.errors import GlobalFault, Invalid, MemstreamError, Overloaded, Rejected, TooLarge, Unavailable
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
    TooLarge("body: is over the limit of 3 bytes"),
    Rejected("no"),
    MemstreamError("nobody expects this"),
    KeyError("nor this"),
]


@contextlib.asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Need nothing."""
    yield


async def both(error: Exception | None, method: str = "POST") -> tuple[httpx.Response, httpx.Response]:
    """Ask the same on the short way and on the long one."""

    async def endpoint(request: Request) -> Response:
        if error is not None:
            raise error
        TypeAdapter(int).validate_json(await request.body())
        return Response("done", 202)

    answers = []
    for direct in ({("POST", "/a"): endpoint}, {}):
        app = make_application("t", "t", lifespan, direct=direct)
        app.post("/a")(endpoint)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            answers.append(await client.request(method, "/a", content=b"x" if error is None else b"1"))
    short, long = answers
    return short, long


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_an_error_is_the_same_problem(error: Exception) -> None:
    short, long = await both(error)

    assert short.status_code >= 400
    assert short.headers["content-type"] == "application/problem+json"
    assert (short.status_code, short.content, short.headers) == (long.status_code, long.content, long.headers)


async def test_a_body_that_does_not_fit_is_the_same_problem() -> None:
    short, long = await both(None)

    assert short.status_code == 400
    assert (short.content, short.headers) == (long.content, long.headers)


async def test_another_method_takes_the_long_way() -> None:
    short, long = await both(None, "PUT")

    assert (short.status_code, short.headers["allow"]) == (405, "POST")
    assert (short.content, short.headers) == (long.content, long.headers)


async def test_only_the_routes_that_were_named_are_taken() -> None:
    async def endpoint(_: Request) -> Response:
        return Response("short")

    app = make_application("t", "t", lifespan, direct={("GET", "/a"): endpoint})
    app.get("/{rest:path}")(lambda: "long")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
        assert (await client.get("/a")).text == "short"
        assert [(await client.get(path)).json() for path in ("/a/", "/A", "/b")] == ["long"] * 3
