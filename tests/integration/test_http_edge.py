"""What both HTTP services have in common: keys, routes, problems, health and metrics."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from random import SystemRandom

import httpx
import pytest
from exchanges import answered, post, problem, say, search
from fastapi import FastAPI, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from pydantic import SecretStr
from running_stack import RunningStack
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import memstream.ingest.admin_api
import memstream.ingest.api
import memstream.ingest.app
import memstream.ingest.key_api
import memstream.ingest.tenants_api
import memstream.retriever.api
import memstream.retriever.app
from memstream.ingest.settings import IngestSettings
from memstream.retriever.settings import RetrieverSettings
from memstream.runtime.clock import SystemClock
from memstream.web.application import make_application

OPEN = {"/health/live", "/health/ready", "/metrics"}
SERVICES = ("ingest", "retriever")


def applications() -> dict[str, FastAPI]:
    """Make both applications; they connect to nothing."""
    return {
        "ingest": memstream.ingest.app.build(IngestSettings(), SystemClock(), SystemRandom()),
        "retriever": memstream.retriever.app.build(RetrieverSettings(embeddings_api_key=SecretStr("x")), SystemClock()),
    }


@contextlib.asynccontextmanager
async def no_lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Need nothing."""
    yield


def routes() -> Iterator[tuple[str, str, str]]:
    """List all routes: service, method, path."""
    for service, app in applications().items():
        for path, operations in app.openapi()["paths"].items():
            for method in operations:
                yield service, method.upper(), path


ROUTES = list(routes())
GUARDED = [route for route in ROUTES if route[2] not in OPEN]


def of(stack: RunningStack, service: str) -> httpx.AsyncClient:
    """Choose a service's client."""
    return stack.ingest if service == "ingest" else stack.retriever


@pytest.mark.parametrize("service", SERVICES)
def test_every_route_is_described(service: str) -> None:
    described = {path for name, _, path in ROUTES if name == service}
    routers = {
        "ingest": [
            memstream.ingest.api.message_routes,
            memstream.ingest.api.erasure_routes,
            memstream.ingest.admin_api.admin_routes,
            memstream.ingest.key_api.key_routes,
            memstream.ingest.tenants_api.tenants_routes,
        ],
        "retriever": [memstream.retriever.api.router],
    }[service]

    assert described == OPEN | {r.path for router in routers for r in router.routes if isinstance(r, APIRoute)}


class Tracing:
    """Middleware as a tracing library adds it: it notes each request with the status of its response."""

    def __init__(self, app: ASGIApp, seen: list[tuple[str, str, int]]) -> None:
        self._app = app
        self._seen = seen

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""

        async def watched_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._seen.append((scope["method"], scope["path"], message["status"]))
            await send(message)

        await self._app(scope, receive, watched_send)


@pytest.mark.parametrize("service", SERVICES)
async def test_middleware_sees_every_request(service: str) -> None:
    app = applications()[service]
    seen: list[tuple[str, str, int]] = []
    app.add_middleware(Tracing, seen=seen)
    requests = [(method, path) for name, method, path in ROUTES if name == service and path != "/health/ready"]
    requests += [("GET", "/nowhere"), ("PATCH", "/metrics")]

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
        responses = [await client.request(method, path) for method, path in requests]

    assert {"ingest": ("POST", "/v1/messages"), "retriever": ("POST", "/v1/search")}[service] in requests
    assert [(method, path) for method, path, _ in seen] == requests
    assert [status for _, _, status in seen] == [response.status_code for response in responses]
    assert {200, 401, 404, 405} == {status for _, _, status in seen}


async def test_middleware_sees_the_answer_to_a_request_that_shutdown_breaks_off() -> None:
    seen: list[tuple[str, str, int]] = []

    async def cancelled(_: Request) -> Response:
        raise asyncio.CancelledError

    app = make_application("t", "t", no_lifespan, fast_path={("GET", "/fast"): cancelled})
    app.add_middleware(Tracing, seen=seen)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
        await client.get("/fast")

    assert seen == [("GET", "/fast", 503)]


@pytest.mark.parametrize("path", ["/", "/fast"])
async def test_middleware_sees_the_answer_to_an_unexpected_error(path: str) -> None:
    seen: list[tuple[str, str, int]] = []

    async def defective(_: Request) -> Response:
        raise KeyError

    app = make_application("t", "t", no_lifespan, fast_path={("GET", "/fast"): defective})
    app.get("/")(defective)
    app.add_middleware(Tracing, seen=seen)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
        await client.get(path)

    assert seen == [("GET", path, 500)]


def test_fast_path_and_plain_routes_lead_to_the_endpoints_that_are_documented() -> None:
    routers = (memstream.ingest.api.message_routes, memstream.retriever.api.router)
    documented = {
        (method, route.path): route.endpoint
        for router in routers
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }
    plain = {
        (method, route.path): route.endpoint
        for route in memstream.retriever.api.PLAIN_ROUTES
        for method in route.methods or ()
        if method != "HEAD"
    }

    assert plain
    assert documented.items() >= memstream.ingest.api.FAST_PATH.items() | plain.items()


@pytest.mark.parametrize(("service", "method", "path"), GUARDED)
async def test_a_route_needs_a_key(stack: RunningStack, service: str, method: str, path: str) -> None:
    async with httpx.AsyncClient(base_url=of(stack, service).base_url) as stranger:
        response = await stranger.request(method, path)

    problem(response, 401, "unauthenticated")
    assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("service", "method", "path"), [route for route in GUARDED if route[2].startswith("/v1/admin")]
)
async def test_a_route_for_operators_needs_their_key(stack: RunningStack, service: str, method: str, path: str) -> None:
    problem(await of(stack, service).request(method, path), 403, "forbidden")


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer \t.",
        "Basic YTpi",
        "ms_key",
        "Bearer ms_wrong",
        "Bearer \xff\xfe",
        "Bearer a b c",
        "bearer *",
    ],
    ids=ascii,
)
@pytest.mark.parametrize("service", SERVICES)
async def test_a_key_that_is_none_is_refused(stack: RunningStack, service: str, header: str) -> None:
    path = next(path for name, _, path in GUARDED if name == service)

    response = await of(stack, service).post(path, headers=[(b"authorization", header.encode("latin-1"))])

    problem(response, 401, "unauthenticated")
    assert response.headers["www-authenticate"] == "Bearer"


async def test_the_scheme_is_read_in_any_case(stack: RunningStack, user: str) -> None:
    response = await stack.ingest.post(
        "/v1/messages",
        json={"user_id": user, "text": "hello"},
        headers={"authorization": f"bEARER   {stack.info.api_key}"},
    )

    answered(response, 202)


@pytest.mark.parametrize(("service", "path"), [(service, path) for service in SERVICES for path in sorted(OPEN)])
async def test_health_and_metrics_need_no_key(stack: RunningStack, service: str, path: str) -> None:
    async with httpx.AsyncClient(base_url=of(stack, service).base_url) as stranger:
        assert (await stranger.get(path)).status_code == 200


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/messages/", "/v1/searches", "/docs", "/openapi.json", "/admin/%2e%2e"]
)
@pytest.mark.parametrize("service", SERVICES)
async def test_an_unknown_route_is_not_found(stack: RunningStack, service: str, path: str) -> None:
    problem(await of(stack, service).get(path), 404, "not-found")


@pytest.mark.parametrize(("service", "method", "path"), ROUTES)
async def test_a_wrong_method_is_named_and_the_right_one_told(
    stack: RunningStack, service: str, method: str, path: str
) -> None:
    response = await of(stack, service).request("PATCH", path)

    problem(response, 405, "method-not-allowed")
    assert method in response.headers["allow"].split(", ")


@pytest.mark.parametrize("service", SERVICES)
async def test_metrics_count_and_name_nobody(stack: RunningStack, service: str, user: str) -> None:
    sent = await post(stack.ingest, user, "The unmistakable lighthouse keeper", message_id=f"id-of-{user}")
    await search(stack.retriever, user, "unmistakable lighthouse", wait_for=[sent["position"]])

    text = (await of(stack, service).get("/metrics")).text

    counter = {"ingest": "memstream_ingest_messages_total{", "retriever": "memstream_retriever_searches_total{"}[
        service
    ]
    assert any(line.startswith(counter) and not line.endswith(" 0.0") for line in text.splitlines())
    assert f"{user}" not in text
    assert "lighthouse" not in text
    assert "local" not in text


@pytest.mark.parametrize("service", SERVICES)
async def test_of_very_many_errors_a_few_are_told(stack: RunningStack, service: str) -> None:
    path = {"ingest": "/v1/messages", "retriever": "/v1/search"}[service]
    body = {"user_id": "ana", "k" * 10_000: 1, **{f"field {n}": n for n in range(9_000)}}

    response = await of(stack, service).post(path, json=body)

    refused = problem(response, 422, "invalid")
    assert len(response.content) < 10_000
    assert refused["errors"][0]["field"] in {"text", "query"}
    assert "and 8999 more" in refused["detail"]


@pytest.mark.parametrize("path", ["/", "/fast"])
async def test_a_request_that_is_broken_off_is_answered(path: str) -> None:
    asked = asyncio.Event()

    async def never(_: Request) -> Response:
        asked.set()
        await asyncio.Event().wait()
        return Response()

    app = make_application("t", "t", no_lifespan, fast_path={("GET", "/fast"): never})
    app.get("/")(never)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
        asking = asyncio.create_task(client.get(path))
        await asked.wait()
        asking.cancel()
        response = await asking

    problem(response, 503, "unavailable")
    assert response.headers["retry-after"] == "1"


@pytest.mark.parametrize("service", SERVICES)
async def test_what_is_no_http_is_answered_and_forgotten(stack: RunningStack, service: str) -> None:
    client = of(stack, service)

    answer = await say(client.base_url, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n", close=True)

    assert answer == b"" or answer.startswith(b"HTTP/1.1 400")
    assert (await client.get("/health/live")).status_code == 200


@pytest.mark.parametrize("service", SERVICES)
async def test_a_caller_that_says_nothing_holds_nobody_up(stack: RunningStack, service: str) -> None:
    client = of(stack, service)
    with socket.create_connection((client.base_url.host, client.base_url.port or 80)) as silent:
        silent.sendall(b"POST /v1/messages HTTP/1.1\r\nhost: x\r\n")
        assert (await client.get("/health/ready")).status_code == 200
