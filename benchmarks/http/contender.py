"""A service of Memstream with other routing or another HTTP client: one contender of the comparison.

`python -m benchmarks.http.contender SERVICE ROUTING CLIENT`, with the service's own settings in the environment.
"""

import asyncio
import sys
from collections.abc import Mapping
from random import SystemRandom
from typing import Any
from unittest import mock

import aiohttp
import httpx
from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.routing import Route
from yarl import URL

import memstream.ingest.api
import memstream.ingest.app
import memstream.retriever.api
import memstream.retriever.app
import memstream.vectors.embeddings.openai
import memstream.vectors.store.qdrant.collection
from memstream.ingest.settings import IngestSettings
from memstream.retriever.settings import RetrieverSettings
from memstream.runtime.clock import SystemClock
from memstream.runtime.configuration import load_settings
from memstream.runtime.sockets import listen
from memstream.vectors.transport import HttpResponse, HttpTransport
from memstream.web.fast_path import Endpoints, FastPath
from memstream.web.server import serve

_NO_LIMIT = 0


class AiohttpClient:
    """Requests through aiohttp."""

    def __init__(self, url: str, *, port: int, headers: Mapping[str, str], timeout: float) -> None:
        del port
        self._url, self._headers = url.rstrip("/"), {"content-type": "application/json", **headers}
        self._timeout = timeout
        self._urls: dict[str, URL] = {}
        self._session: aiohttp.ClientSession | None = None

    async def post(self, path: str, body: bytes) -> HttpResponse:
        """Send a JSON body."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=_NO_LIMIT),
                headers=self._headers,
                skip_auto_headers=("user-agent", "accept-encoding", "accept"),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            )
        url = self._urls.get(path) or self._urls.setdefault(path, URL(self._url + path, encoded=True))
        # One timer around the request is cheaper than the library's timers.
        async with asyncio.timeout(self._timeout):
            answer = await self._session.post(url, data=body, allow_redirects=False)
            return HttpResponse(answer.status, answer.headers, await answer.read())

    def close(self) -> None:
        """Do nothing: the connections end with the process."""


class HttpxClient:
    """Requests through httpx."""

    def __init__(self, url: str, *, port: int, headers: Mapping[str, str], timeout: float) -> None:
        del port
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        self._client = httpx.AsyncClient(
            headers={"content-type": "application/json", **headers}, timeout=timeout, limits=limits, trust_env=False
        )
        self._url = url.rstrip("/")

    async def post(self, path: str, body: bytes) -> HttpResponse:
        """Send a JSON body."""
        answer = await self._client.post(self._url + path, content=body)
        return HttpResponse(answer.status_code, answer.headers, answer.content)

    def close(self) -> None:
        """Do nothing: the connections end with the process."""


CLIENTS: Mapping[str, Any] = {"transport": HttpTransport, "aiohttp": AiohttpClient, "httpx": HttpxClient}


def _hot_endpoints(service: str) -> Endpoints:
    """Return the endpoints to be routed."""
    if service == "ingest":
        return memstream.ingest.api.FAST_PATH

    return {("POST", "/v1/search"): memstream.retriever.api.post_search}


def _route(app: FastAPI, routing: str, endpoints: Endpoints) -> None:
    """Route these requests in one of the ways; FastAPI's own routes document them in each case."""
    if routing == "starlette":
        routes = [Route(path, endpoint, methods=[method]) for (method, path), endpoint in endpoints.items()]
        app.router.routes[:0] = routes
    elif routing == "fast-path":
        app.user_middleware.append(Middleware(FastPath, endpoints=endpoints))


def main() -> None:
    """Serve as the command line says."""
    service, routing, client = sys.argv[1:]
    for module in (memstream.vectors.store.qdrant.collection, memstream.vectors.embeddings.openai):
        mock.patch.object(module, "HttpTransport", CLIENTS[client]).start()
    endpoints = _hot_endpoints(service)
    mock.patch.object(memstream.ingest.app, "FAST_PATH", {}).start()
    mock.patch.object(memstream.retriever.app, "PLAIN_ROUTES", ()).start()
    settings: IngestSettings | RetrieverSettings
    if service == "ingest":
        settings = load_settings(IngestSettings)
        app = memstream.ingest.app.build(settings, SystemClock(), SystemRandom())
    else:
        settings = load_settings(RetrieverSettings)
        app = memstream.retriever.app.build(settings, SystemClock())
    _route(app, routing, endpoints)
    serve(app, listen(settings.host, settings.port, reuse_port=settings.reuse_port))


if __name__ == "__main__":
    main()
