"""The HTTP edge: routes, bounded bodies, the worker threads, and Qdrant's shape of answers."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from functools import partial
from importlib.metadata import version

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from memstream.local.qdrant import operations
from memstream.local.qdrant.catalog import Catalog
from memstream.local.qdrant.operations import Call, integer_parameter
from memstream.local.qdrant.refusals import (
    EngineClosedError,
    Refusal,
    engine_words,
    malformed,
    no_collection,
    unsupported,
)
from memstream.local.qdrant.upkeep import Upkeep

REST_VERSION = "1.20.0"  # the release whose REST API this speaks; clients compare it with theirs
MAX_BODY = 33_554_432  # bytes, as a Qdrant server's `max_request_size_mb` of 32
GRACE = timedelta(seconds=10)

_MAX_DISCARDED = 8 * MAX_BODY
_READERS = 4
_WRITERS = 2
_QUICK_WRITERS = 2
_QUICK = 65_536
"""Bytes of a write that has threads of its own: a message just said must not stand behind the batches of an import."""
_WRITE_PARAMETERS = frozenset(("wait", "ordering", "timeout"))
_READ_PARAMETERS = frozenset(("consistency", "timeout"))
_ORDERINGS = ("weak", "medium", "strong")
_CONSISTENCIES = ("majority", "quorum", "all")

Operation = Callable[[Call], object]
Endpoint = Callable[[Request], Awaitable[Response]]

log = logging.getLogger(__name__)


def build(catalog: Catalog, ready: Callable[[], None]) -> Starlette:
    """Return the application; it calls ``ready`` when it can answer, and closes the catalog when it ends."""
    readers = ThreadPoolExecutor(_READERS, thread_name_prefix="read")
    writers = ThreadPoolExecutor(_WRITERS, thread_name_prefix="write")
    quick_writers = ThreadPoolExecutor(_QUICK_WRITERS, thread_name_prefix="quick-write")

    def endpoint(operation: Operation) -> Endpoint:
        if operation in _WRITES or isinstance(operation, partial):
            return partial(_answer, catalog, (quick_writers, writers), _WRITE_PARAMETERS, operation)
        return partial(_answer, catalog, (readers, readers), _READ_PARAMETERS, operation)

    routes = [Route(path, endpoint(operation), methods=[method]) for method, path, operation in _ROUTES]
    routes += [Route(path, partial(_absent, what), methods=[method]) for method, path, what in _ABSENT]
    routes.append(Route("/", _welcome, methods=["GET"]))
    routes += [Route(path, _alive, methods=["GET"]) for path in ("/healthz", "/livez", "/readyz")]
    return Starlette(
        routes=routes,
        lifespan=_lifespan(catalog, ready, (readers, writers, quick_writers)),
        exception_handlers={HTTPException: _no_route, Exception: _broken},
    )


def _lifespan(
    catalog: Catalog, ready: Callable[[], None], pools: tuple[ThreadPoolExecutor, ...]
) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        upkeep = Upkeep(catalog)
        upkeep.start()
        ready()
        yield
        for pool in pools:
            pool.shutdown()
        if not await asyncio.to_thread(upkeep.stop, GRACE):
            log.warning("an optimisation is still running: leaving it, the write-ahead log has everything")
            return
        await asyncio.to_thread(_flush_and_close, catalog)

    return lifespan


def _flush_and_close(catalog: Catalog) -> None:
    for collection in catalog.all():
        collection.flush()
    catalog.close()


async def _answer(
    catalog: Catalog,
    pools: tuple[ThreadPoolExecutor, ThreadPoolExecutor],
    parameters: frozenset[str],
    operation: Operation,
    request: Request,
) -> Response:
    """Run an operation in one of two pools: the first for small bodies, the second for large ones."""
    started = time.perf_counter()
    try:
        _check_parameters(request, parameters)
        call = Call(catalog, request.path_params, request.query_params, await _read_body(request))
        pool = pools[len(call.raw) > _QUICK]
        content = await asyncio.get_running_loop().run_in_executor(pool, _run, operation, call, started)
    except Refusal as refusal:
        return _refused(refusal, started)
    return Response(content, media_type="application/json")


def _run(operation: Operation, call: Call, started: float) -> bytes:
    try:
        with engine_words():
            result = operation(call)
    except EngineClosedError as error:
        raise no_collection(call.path.get("collection", "")) from error
    answer = {"result": result, "status": "ok", "time": time.perf_counter() - started}
    return orjson.dumps(answer, option=orjson.OPT_NON_STR_KEYS)


async def _read_body(request: Request) -> bytes:
    """Return the body. What is too large is read on and dropped: a client that still sends does not hear a refusal."""
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
        raise _too_large()
    return b"".join(parts)


def _too_large() -> Refusal:
    return Refusal(413, f"Payload error: JSON payload is larger than allowed (limit: {MAX_BODY} bytes)")


def _check_parameters(request: Request, allowed: frozenset[str]) -> None:
    """Check the query string. With one copy of everything, any ordering and consistency asked for is what one gets."""
    for name, value in request.query_params.items():
        if name not in allowed:
            raise malformed(f"unknown query parameter `{name}`, expected one of {', '.join(sorted(allowed))}")
        if name == "wait" and value not in ("true", "false"):
            raise malformed("query parameter `wait` must be true or false")
        if name == "timeout":
            integer_parameter(value, name)
        if name == "ordering" and value not in _ORDERINGS:
            raise malformed(f"query parameter `ordering` must be one of {', '.join(_ORDERINGS)}")
        if name == "consistency" and value not in _CONSISTENCIES and not value.isdecimal():
            raise malformed("query parameter `consistency` must be a number, majority, quorum or all")


def _refused(refusal: Refusal, started: float) -> Response:
    if refusal.status >= 500 and refusal.status != 501:  # noqa: PLR2004 - 501 is the client's matter
        log.error("%s", refusal)
    body = {"status": {"error": str(refusal)}, "time": time.perf_counter() - started}
    headers = {"connection": "close"} if refusal.status == 413 else None  # noqa: PLR2004 - the rest is not read
    return Response(orjson.dumps(body), refusal.status, headers, media_type="application/json")


async def _alive(_request: Request) -> Response:
    return PlainTextResponse("healthz check passed")


async def _welcome(_request: Request) -> Response:
    """Tell who answers; this answer has no envelope."""
    title = f"memstream.local.qdrant on qdrant-edge-py {version('qdrant-edge-py')}"
    return Response(orjson.dumps({"title": title, "version": REST_VERSION}), media_type="application/json")


async def _absent(what: str, _request: Request) -> Response:
    return _refused(unsupported(what), time.perf_counter())


async def _broken(_request: Request, error: Exception) -> Response:
    return _refused(Refusal(500, f"Service internal error: {type(error).__name__}: {error}"), time.perf_counter())


async def _no_route(request: Request, error: Exception) -> Response:
    path, method = request.url.path, request.method
    status = error.status_code if isinstance(error, HTTPException) else 500
    text = f"Not found: {method} {path} is not a route of the embedded Qdrant"
    return _refused(Refusal(status, text), time.perf_counter())


_WRITES: frozenset[Operation] = frozenset(
    (
        operations.create_collection,
        operations.update_collection,
        operations.delete_collection,
        operations.change_aliases,
        operations.create_index,
        operations.delete_index,
        operations.create_vector,
        operations.delete_vector,
        operations.write_many,
    )
)
_C = "/collections/{collection}"


def _write(name: str) -> Operation:
    return partial(operations.write_one, name=name)


_ROUTES: list[tuple[str, str, Operation]] = [
    ("GET", "/collections", operations.list_collections),
    ("POST", "/collections/aliases", operations.change_aliases),
    ("GET", "/aliases", operations.list_aliases),
    ("PUT", f"{_C}/points", _write("upsert")),
    ("POST", f"{_C}/points/query/batch", operations.query_batch),
    ("POST", f"{_C}/points/query", operations.query),
    ("POST", f"{_C}/points/query/groups", operations.groups),
    ("POST", f"{_C}/points/batch", operations.write_many),
    ("POST", f"{_C}/points/delete", _write("delete")),
    ("POST", f"{_C}/points/payload", _write("set_payload")),
    ("PUT", f"{_C}/points/payload", _write("overwrite_payload")),
    ("POST", f"{_C}/points/payload/delete", _write("delete_payload")),
    ("POST", f"{_C}/points/payload/clear", _write("clear_payload")),
    ("PUT", f"{_C}/points/vectors", _write("update_vectors")),
    ("POST", f"{_C}/points/vectors/delete", _write("delete_vectors")),
    ("POST", f"{_C}/points/scroll", operations.scroll),
    ("POST", f"{_C}/points/count", operations.count),
    ("POST", f"{_C}/points", operations.get_points),
    ("GET", f"{_C}/points/{{point}}", operations.get_point),
    ("POST", f"{_C}/facet", operations.facet),
    ("PUT", f"{_C}/index", operations.create_index),
    ("DELETE", f"{_C}/index/{{field}}", operations.delete_index),
    ("PUT", f"{_C}/vectors/{{vector}}", operations.create_vector),
    ("DELETE", f"{_C}/vectors/{{vector}}", operations.delete_vector),
    ("GET", f"{_C}/aliases", operations.list_collection_aliases),
    ("GET", f"{_C}/exists", operations.collection_exists),
    ("GET", _C, operations.get_collection),
    ("PUT", _C, operations.create_collection),
    ("PATCH", _C, operations.update_collection),
    ("DELETE", _C, operations.delete_collection),
]
_ABSENT: list[tuple[str, str, str]] = [
    ("POST", f"{_C}/points/search/matrix/{{form}}", "distance matrices"),
    *((method, f"{_C}/snapshots", "snapshots; stop the server and copy its data folder") for method in ("GET", "POST")),
    *(
        (method, f"{_C}/snapshots/{{rest:path}}", "snapshots; stop the server and copy its data folder")
        for method in ("GET", "PUT", "POST", "DELETE")
    ),
    *((method, "/snapshots", "snapshots; stop the server and copy its data folder") for method in ("GET", "POST")),
    ("GET", "/telemetry", "telemetry and metrics"),
    ("GET", "/metrics", "telemetry and metrics"),
    ("GET", "/cluster", "clusters; there is one node"),
    ("GET", f"{_C}/cluster", "clusters; there is one node"),
]
