"""The HTTP edge: routes, bounded bodies, worker threads, and the form of Qdrant's responses."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from importlib.metadata import version

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from memstream.local.qdrant import operations, updates
from memstream.local.qdrant.errors import ApiError, engine_errors, malformed, not_found
from memstream.local.qdrant.maintenance import Maintenance
from memstream.local.qdrant.operations import Call
from memstream.local.qdrant.storage import Storage
from memstream.local.request_guard import Refusal, RequestGuard
from memstream.runtime.clock import SystemClock

REST_VERSION = "1.20.0"  # the release whose REST API this implements; clients compare it with theirs
MAX_BODY = 33_554_432  # bytes, as a Qdrant server's `max_request_size_mb` of 32
SHUTDOWN_TIMEOUT = timedelta(seconds=10)

_MAX_DISCARDED = 8 * MAX_BODY
_HEALTH = ("/healthz", "/livez", "/readyz")
_OPEN = frozenset({"/", *_HEALTH})
"""Paths that a Qdrant server answers without a key."""

_READERS = 4
_WRITERS = 2
_SMALL_WRITERS = 2
_SMALL_BODY = 65_536
"""Smaller writes have threads of their own, so that a single new message need not wait for the batches of an import."""

_OF_READS: Mapping[str, frozenset[str]] = {"consistency": frozenset(("all", "majority", "quorum", "1"))}
_OF_WRITES: Mapping[str, frozenset[str]] = {
    "wait": frozenset(("true", "false")),
    "ordering": frozenset(("weak", "medium", "strong")),
}
"""Query parameters, and what they may say. One server orders all writes, and every copy is its own."""

_CLOCK = SystemClock()

Operation = Callable[[Call], object]
Endpoint = Callable[[Request], Awaitable[Response]]

log = logging.getLogger(__name__)


def build(storage: Storage, on_ready: Callable[[], None]) -> Starlette:
    """Return the application. It calls ``on_ready`` once it can answer, and closes the storage when it ends."""
    readers = ThreadPoolExecutor(_READERS, thread_name_prefix="read")
    writers = ThreadPoolExecutor(_WRITERS, thread_name_prefix="write")
    small_writers = ThreadPoolExecutor(_SMALL_WRITERS, thread_name_prefix="small-write")

    def reading(operation: Operation) -> Endpoint:
        return partial(_answer, storage, (readers, readers), _OF_READS, operation)

    def writing(operation: Operation) -> Endpoint:
        return partial(_answer, storage, (small_writers, writers), _OF_WRITES, operation)

    routes = [Route(path, reading(operation), methods=[method]) for method, path, operation in _READS]
    routes += [Route(path, writing(operation), methods=[method]) for method, path, operation in _WRITES]
    routes.append(Route("/", _version, methods=["GET"]))
    routes += [Route(path, _healthy, methods=["GET"]) for path in _HEALTH]
    return Starlette(
        routes=routes,
        lifespan=_lifespan(storage, on_ready, (readers, writers, small_writers)),
        exception_handlers={HTTPException: _no_route, Exception: _failed},
    )


def guarded(app: ASGIApp, *, host: str, api_key: str | None) -> ASGIApp:
    """Return the application for clients with this key alone, as a Qdrant server with `service.api_key`."""
    return RequestGuard(app, host=host, key=api_key, open_paths=_OPEN, respond=_refuse)


def _refuse(refusal: Refusal) -> Response:
    return _error_response(ApiError(refusal.status, refusal.reason), time.perf_counter())


def _lifespan(
    storage: Storage, on_ready: Callable[[], None], pools: tuple[ThreadPoolExecutor, ...]
) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        maintenance = Maintenance(storage)
        maintenance.start()
        on_ready()
        yield
        for pool in pools:
            pool.shutdown()
        if not await asyncio.to_thread(maintenance.stop, SHUTDOWN_TIMEOUT):
            log.warning("ending during an optimisation; the write-ahead log has everything")
            return
        await asyncio.to_thread(_flush_and_close, storage)

    return lifespan


def _flush_and_close(storage: Storage) -> None:
    for collection in storage.all():
        collection.flush()
    storage.close()


async def _answer(
    storage: Storage,
    pools: tuple[ThreadPoolExecutor, ThreadPoolExecutor],
    parameters: Mapping[str, frozenset[str]],
    operation: Operation,
    request: Request,
) -> Response:
    """Run an operation in one of two pools: the first for small bodies, the second for large ones."""
    started = time.perf_counter()
    try:
        _check_parameters(request, parameters)
        call = Call(storage, request.path_params, request.query_params, await _read_body(request), _CLOCK.now())
        pool = pools[len(call.raw) > _SMALL_BODY]
        content = await asyncio.get_running_loop().run_in_executor(pool, _run, operation, call, started)
    except ApiError as error:
        return _error_response(error, started)
    return Response(content, media_type="application/json")


def _run(operation: Operation, call: Call, started: float) -> bytes:
    with engine_errors():
        result = operation(call)
    answer = {"result": result, "status": "ok", "time": time.perf_counter() - started}
    return orjson.dumps(answer, option=orjson.OPT_NON_STR_KEYS)


async def _read_body(request: Request) -> bytes:
    """Return the body. One that is too large is read and dropped: a client does not read a response while it sends."""
    parts: list[bytes] = []
    size = 0
    try:
        async for part in request.stream():
            size += len(part)
            if size <= MAX_BODY:
                parts.append(part)
            elif size > _MAX_DISCARDED:
                break
            else:
                parts.clear()
    except ClientDisconnect as error:
        raise malformed("the body ended early") from error
    if size > MAX_BODY:
        raise ApiError(413, f"Payload error: JSON payload is larger than allowed (limit: {MAX_BODY} bytes)")
    return b"".join(parts)


def _check_parameters(request: Request, allowed: Mapping[str, frozenset[str]]) -> None:
    for name, value in request.query_params.items():
        if name not in allowed:
            raise malformed(f"unknown query parameter `{name}`")
        if value not in allowed[name]:
            raise malformed(f"query parameter `{name}` must be one of {', '.join(sorted(allowed[name]))}")


def _error_response(error: ApiError, started: float) -> Response:
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR and error.status != HTTPStatus.NOT_IMPLEMENTED:
        log.error("%s", error)
    body = {"status": {"error": str(error)}, "time": time.perf_counter() - started}
    # The rest of a body that is too large was not read, so the connection cannot be used again.
    headers = {"connection": "close"} if error.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE else None
    return Response(orjson.dumps(body), error.status, headers, media_type="application/json")


async def _healthy(_request: Request) -> Response:
    return PlainTextResponse("healthz check passed")


async def _version(_request: Request) -> Response:
    """Return name and version, which clients check; unlike other responses this one has no envelope."""
    title = f"memstream.local.qdrant on qdrant-edge-py {version('qdrant-edge-py')}"
    return Response(orjson.dumps({"title": title, "version": REST_VERSION}), media_type="application/json")


async def _failed(_request: Request, error: Exception) -> Response:
    return _error_response(
        ApiError(500, f"Service internal error: {type(error).__name__}: {error}"), time.perf_counter()
    )


async def _no_route(request: Request, _error: Exception) -> Response:
    text = f"the embedded Qdrant does not serve {request.method} {request.url.path}"
    return _error_response(not_found(text), time.perf_counter())


_C = "/collections/{collection}"
_READS: list[tuple[str, str, Operation]] = [
    ("POST", f"{_C}/points/query/batch", operations.query_batch),
    ("POST", f"{_C}/points/scroll", operations.scroll),
    ("POST", f"{_C}/points/count", operations.count),
    ("POST", f"{_C}/points", operations.retrieve),
    ("POST", f"{_C}/facet", operations.facet),
    ("GET", f"{_C}/exists", operations.collection_exists),
    ("GET", f"{_C}/residue", operations.get_residue),
    ("GET", _C, operations.get_collection),
]
_WRITES: list[tuple[str, str, Operation]] = [
    ("PUT", f"{_C}/points", partial(operations.write, read=updates.read_upsert)),
    ("POST", f"{_C}/points/batch", operations.write_batch),
    ("POST", f"{_C}/points/delete", operations.delete),
    ("POST", f"{_C}/points/payload", partial(operations.write, read=updates.read_payload_update)),
    ("PUT", f"{_C}/points/vectors", partial(operations.write, read=updates.read_vector_update)),
    ("PUT", f"{_C}/index", operations.create_index),
    ("PUT", f"{_C}/vectors/{{vector}}", operations.create_vector),
    ("DELETE", f"{_C}/vectors/{{vector}}", operations.delete_vector),
    ("PUT", _C, operations.create_collection),
    ("PATCH", _C, operations.update_collection),
    ("DELETE", _C, operations.delete_collection),
]
