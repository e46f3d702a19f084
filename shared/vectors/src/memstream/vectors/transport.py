"""HTTP transport: JSON posts to one server over HTTP/1.1 keep-alive connections, and nothing else.

It carries the requests that every search makes. docs/decisions/0021 has what it saves compared with general clients,
and docs/decisions/0016 which requests stay with those.

Every request of a transport is written in `HttpTransport.post`: a header that depends on the request, such as a trace
context (`traceparent`), belongs there.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit
from urllib.request import getproxies

import httptools

_NO_BODY = frozenset({204, 304})
_FIRST_FINAL = 200
"""Statuses below are interim: the final response follows."""


class ResponseTooLarge(OSError):
    """A response has more bytes than may be read."""


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A server's response. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes


def is_direct(url: str) -> bool:
    """Return whether a server is reached without TLS and without a proxy, as within a private network."""
    return urlsplit(url).scheme == "http" and not {"http", "all"}.intersection(getproxies())


class HttpTransport:
    """Requests to one server, over as many connections as there are concurrent requests."""

    def __init__(
        self, url: str, *, port: int, headers: Mapping[str, str], timeout: float, max_bytes: int | None = None
    ) -> None:
        """Prepare it without connecting. `port` is used if the URL has none; `timeout` is in seconds.

        Paths are relative to the URL's own path. Every request has these headers. A response whose body has more than
        `max_bytes` is not read to the end.
        """
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or port
        self._path = parts.path.rstrip("/")
        self._timeout = timeout
        self._max_bytes = max_bytes
        host = f"[{self._host}]" if ":" in self._host else self._host
        lines = {
            "host": f"{host}:{self._port}",
            "content-type": "application/json",
            "accept-encoding": "identity",
            **headers,
        }
        self._head = "".join(f"{name}: {value}\r\n" for name, value in lines.items()).encode("latin-1")
        self._idle: list[_Connection] = []

    async def post(self, path: str, body: bytes) -> HttpResponse:
        """Send a JSON body, and return the response, whatever its status. The request may be sent twice.

        Raises:
            ResponseTooLarge: its body has more than `max_bytes`.
            OSError: there is no response, or not in time.

        """
        line = f"POST {self._path}{path} HTTP/1.1\r\n".encode("ascii")
        request = b"%b%bcontent-length: %d\r\n\r\n%b" % (line, self._head, len(body), body)
        async with asyncio.timeout(self._timeout):
            while self._idle:
                connection = self._idle.pop()
                try:
                    return await self._exchange(connection, request)
                except ConnectionError:
                    # Servers close idle connections, which may show only when one is used again.
                    if connection.has_received:
                        raise
            return await self._exchange(await self._connect(), request)

    async def _connect(self) -> "_Connection":
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: _Connection(self._max_bytes), self._host, self._port)
        return connection

    async def _exchange(self, connection: "_Connection", request: bytes) -> HttpResponse:
        try:
            response = await connection.send(request)
        except BaseException:
            # A late response would be taken for the response to the next request.
            connection.close()
            raise
        if connection.is_reusable:
            self._idle.append(connection)
        return response

    @property
    def reusable(self) -> int:
        """How many connections are kept for the next requests."""
        return sum(connection.is_reusable for connection in self._idle)

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop().close()


class _Connection(asyncio.Protocol):
    """A connection, which carries one request at a time."""

    def __init__(self, max_bytes: int | None) -> None:
        self.has_received = False
        """Part of the response has arrived."""
        self.is_reusable = True
        """Another request may be sent."""
        self._transport: asyncio.Transport | None = None
        self._response: asyncio.Future[HttpResponse] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._parts: list[bytes] = []
        self._size = 0
        self._max_bytes = max_bytes
        self._ends_by_closing = False

    async def send(self, request: bytes) -> HttpResponse:
        """Send a request, and return its response.

        Raises:
            ConnectionError: the connection was lost, or the response is not HTTP.

        """
        self.has_received = False
        if self._transport is None or self._transport.is_closing():
            raise ConnectionResetError("the server has closed the connection")
        self._response = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._response

    def close(self) -> None:
        self.is_reusable = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.has_received = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(ConnectionAbortedError(f"a response that is not HTTP: {error}"))

    def eof_received(self) -> None:
        if self._ends_by_closing:
            self.on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(ConnectionResetError(str(exc) if exc else "the server closed the connection"))

    def on_message_begin(self) -> None:
        self._headers, self._parts, self._size = {}, [], 0

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        sized = "content-length" in self._headers or "transfer-encoding" in self._headers
        self._ends_by_closing = not sized and self._parser.get_status_code() not in _NO_BODY

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        if self._max_bytes is not None and self._size > self._max_bytes:
            self._fail(ResponseTooLarge(f"more than {self._max_bytes} bytes"))
            return
        self._parts.append(body)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < _FIRST_FINAL:
            return
        if self._response is None or self._response.done():
            # A response without a request.
            self.close()
            return
        self.is_reusable = self._parser.should_keep_alive()
        self._response.set_result(HttpResponse(status, self._headers, b"".join(self._parts)))
        if not self.is_reusable:
            self.close()

    def _fail(self, error: OSError) -> None:
        self.close()
        self._parts = []
        if self._response is not None and not self._response.done():
            self._response.set_exception(error)
