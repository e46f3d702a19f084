"""The HTTP edge: reads a request, asks the scheduler, writes the answer."""

import asyncio
from collections.abc import Awaitable
from http import HTTPStatus

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from memstream.local.embeddings.model import Model, Vectors
from memstream.local.embeddings.protocol import MAX_BODY_BYTES, Refused, answer, check_model, check_tokens, parse
from memstream.local.embeddings.scheduler import Overloaded, Scheduler

# nginx's status for a client that left before its answer. Nobody reads it.
_CLIENT_GONE = 499


class Gone(Exception):
    """The client closed the connection before its answer was ready."""


def build(model: Model, scheduler: Scheduler) -> Starlette:
    """Make the ASGI application that serves one model."""
    card = {"id": model.name, "object": "model", "created": 0, "owned_by": "memstream"}

    async def embeddings(request: Request) -> Response:
        return _json(await _embed(request, model, scheduler))

    async def models(_: Request) -> Response:
        return _json(orjson.dumps({"object": "list", "data": [card]}))

    async def model_card(request: Request) -> Response:
        check_model(request.path_params["id"], model)
        return _json(orjson.dumps(card))

    async def health(_: Request) -> Response:
        # Whoever gets this answer proves both: the model is loaded before the first connection is read.
        return _json(orjson.dumps({"status": "ok", "model": model.name}))

    application = Starlette(
        routes=[
            Route("/v1/embeddings", embeddings, methods=["POST"]),
            Route("/v1/models", models),
            Route("/v1/models/{id:path}", model_card),
            Route("/health/live", health),
            Route("/health/ready", health),
        ],
        exception_handlers={
            **dict.fromkeys((Refused, Overloaded, Gone, ClientDisconnect), _refused),
            HTTPException: _lost,
            500: _failed,
        },
    )
    # A redirect would be no answer to a POST.
    application.router.redirect_slashes = False
    return application


async def _embed(request: Request, model: Model, scheduler: Scheduler) -> bytes:
    asked = parse(await _body(request), model)
    with scheduler.admitted(len(asked.texts)):
        tokens = await scheduler.tokenise(asked.texts)
        check_tokens(tokens)
        vectors = await _while_connected(request, scheduler.embed(tokens))
    return answer(asked, tokens, vectors, model)


async def _body(request: Request) -> bytes:
    """Read the body, and refuse it as soon as it is known to be too large."""
    too_large = Refused(f"The body is larger than {MAX_BODY_BYTES} bytes.", status=413, code="request_too_large")
    stated = request.headers.get("content-length", "")
    if stated.isdecimal() and int(stated) > MAX_BODY_BYTES:
        raise too_large
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise too_large
    return bytes(body)


async def _while_connected(request: Request, work: Awaitable[Vectors]) -> Vectors:
    """Await `work`, and cancel it when the client goes away. Raises `Gone` then."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(request.receive())
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise Gone
        return await working
    finally:
        working.cancel()
        leaving.cancel()


async def _refused(_: Request, error: Exception) -> Response:
    match error:
        case Refused():
            return _refusal(error)
        case Overloaded():
            refused = Refused(f"The server is overloaded: {error}.", status=503, code="overloaded")
            return _refusal(refused, {"Retry-After": "1"})
        case _:
            return Response(status_code=_CLIENT_GONE)


async def _lost(request: Request, error: Exception) -> Response:
    """Answer what no route takes."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        message = f"Not allowed to {request.method} on {request.url.path}."
        return _refusal(Refused(message, status=status, code="method_not_supported"))
    return _refusal(Refused(f"Invalid URL ({request.method} {request.url.path}).", status=status, code="unknown_url"))


async def _failed(_: Request, __: Exception) -> Response:
    # Starlette passes the error on to uvicorn, which logs it.
    return _refusal(Refused("The server had an error while processing the request.", status=500))


def _refusal(refused: Refused, headers: dict[str, str] | None = None) -> Response:
    return Response(refused.body(), refused.status, headers, media_type="application/json")


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json")
