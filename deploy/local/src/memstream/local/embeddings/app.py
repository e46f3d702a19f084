"""The HTTP routes: parse a request, have it embedded, write the response."""

import asyncio
from collections.abc import Awaitable
from http import HTTPStatus

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from memstream.local.embeddings.model import Model, Vectors
from memstream.local.embeddings.protocol import (
    MAX_BODY_BYTES,
    ApiError,
    check_model,
    check_tokens,
    parse,
    response_body,
)
from memstream.local.embeddings.scheduler import Overloaded, Scheduler
from memstream.local.request_guard import Refusal, RequestGuard

# nginx's status for a client that disconnected before the response. Nobody reads it.
_CLIENT_GONE = 499

_HEALTH = ("/health/live", "/health/ready")


class ClientClosed(Exception):
    """The client closed the connection before the response was ready."""


def build(model: Model, scheduler: Scheduler) -> Starlette:
    """Return the ASGI application that serves one model."""
    card = {"id": model.name, "object": "model", "created": 0, "owned_by": "memstream"}

    async def embeddings(request: Request) -> Response:
        return _json(await _embed(request, model, scheduler))

    async def models(_: Request) -> Response:
        return _json(orjson.dumps({"object": "list", "data": [card]}))

    async def model_card(request: Request) -> Response:
        check_model(request.path_params["id"], model)
        return _json(orjson.dumps(card))

    async def health(_: Request) -> Response:
        # Both live and ready: the model is loaded before the first connection is read.
        return _json(orjson.dumps({"status": "ok", "model": model.name}))

    application = Starlette(
        routes=[
            Route("/v1/embeddings", embeddings, methods=["POST"]),
            Route("/v1/models", models),
            Route("/v1/models/{id:path}", model_card),
            *(Route(path, health) for path in _HEALTH),
        ],
        exception_handlers={
            **dict.fromkeys((ApiError, Overloaded, ClientClosed, ClientDisconnect), _error),
            HTTPException: _no_route,
            500: _failed,
        },
    )
    # Clients don't repeat a POST after a redirect.
    application.router.redirect_slashes = False
    return application


def guarded(app: ASGIApp, *, host: str, api_key: str | None) -> ASGIApp:
    """Return the application for clients with this key alone."""
    return RequestGuard(app, host=host, key=api_key, open_paths=_HEALTH, respond=_refuse)


def _refuse(refusal: Refusal) -> Response:
    code = "invalid_api_key" if refusal.status == HTTPStatus.UNAUTHORIZED else None
    return _error_response(
        ApiError(f"{refusal.reason[:1].upper()}{refusal.reason[1:]}.", status=refusal.status, code=code)
    )


async def _embed(request: Request, model: Model, scheduler: Scheduler) -> bytes:
    parsed = parse(await _body(request), model)
    with scheduler.admitted(len(parsed.texts)):
        tokens = await scheduler.tokenise(parsed.texts)
        check_tokens(tokens)
        vectors = await _while_connected(request, scheduler.embed(tokens))
    return response_body(parsed, tokens, vectors, model)


async def _body(request: Request) -> bytes:
    """Return the body; raise an error as soon as it is known to be too large."""
    too_large = ApiError(f"The body is larger than {MAX_BODY_BYTES} bytes.", status=413, code="request_too_large")
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
    """Return the result of `work`. If the client disconnects, cancel it and raise `ClientClosed`."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(request.receive())
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientClosed
        return await working
    finally:
        working.cancel()
        leaving.cancel()


async def _error(_: Request, error: Exception) -> Response:
    match error:
        case ApiError():
            return _error_response(error)
        case Overloaded():
            overloaded = ApiError(f"The server is overloaded: {error}.", status=503, code="overloaded")
            return _error_response(overloaded, {"Retry-After": "1"})
        case _:
            return Response(status_code=_CLIENT_GONE)


async def _no_route(request: Request, error: Exception) -> Response:
    """Return the error for a request that no route serves."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        message = f"Not allowed to {request.method} on {request.url.path}."
        return _error_response(ApiError(message, status=status, code="method_not_supported"))
    return _error_response(
        ApiError(f"Invalid URL ({request.method} {request.url.path}).", status=status, code="unknown_url")
    )


async def _failed(_: Request, __: Exception) -> Response:
    # Starlette passes the error on to uvicorn, which logs it.
    return _error_response(ApiError("The server had an error while processing the request.", status=500))


def _error_response(error: ApiError, headers: dict[str, str] | None = None) -> Response:
    return Response(error.body(), error.status, headers, media_type="application/json")


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json")
