"""HTTP/1.1 to one server, over connections that are kept alive, and nothing else.

For the requests that every question makes. A general client spends more on each of them than the retriever on all the
rest of an answer: docs/decisions/0016 has the figures, and what stays with the general clients.
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
"""What is answered before that only announces an answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered; the headers' names are in small letters."""

    status: int
    headers: Mapping[str, str]
    content: bytes


def is_direct(url: str) -> bool:
    """Say whether a server is asked without TLS and without a proxy, as within one's own network."""
    return urlsplit(url).scheme == "http" and not {"http", "all"}.intersection(getproxies())


class Wire:
    """Requests to one server; as many connections as there are requests at the same time."""

    def __init__(self, url: str, *, port: int, headers: Mapping[str, str], timeout: float) -> None:
        """Make it; nothing is connected yet. `port` is what is asked where the URL has none.

        Requests go to paths below the URL's own, and have these headers.
        """
        place = urlsplit(url)
        self._host, self._port = place.hostname or "", place.port or port
        self._path = place.path.rstrip("/")
        self._timeout = timeout
        host = f"[{self._host}]" if ":" in self._host else self._host
        lines = {
            "host": f"{host}:{self._port}",
            "content-type": "application/json",
            "accept-encoding": "identity",
            **headers,
        }
        self._head = "".join(f"{name}: {value}\r\n" for name, value in lines.items()).encode("latin-1")
        self._idle: list[_Connection] = []

    async def post(self, path: str, body: bytes) -> Answer:
        """Send a JSON body, and give the answer, whatever its status. What is asked may be asked twice.

        Raises:
            OSError: there is no answer, or not in time.

        """
        line = f"POST {self._path}{path} HTTP/1.1\r\n".encode("ascii")
        request = b"%b%bcontent-length: %d\r\n\r\n%b" % (line, self._head, len(body), body)
        async with asyncio.timeout(self._timeout):
            while self._idle:
                connection = self._idle.pop()
                try:
                    return await self._exchange(connection, request)
                except ConnectionError:
                    # A server closes connections that are idle. Whoever finds out by asking asks anew.
                    if connection.heard:
                        raise
            return await self._exchange(await self._connect(), request)

    async def _connect(self) -> "_Connection":
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(_Connection, self._host, self._port)
        return connection

    async def _exchange(self, connection: "_Connection", request: bytes) -> Answer:
        try:
            answer = await connection.ask(request)
        except BaseException:
            # Its answer, if it still comes, would be taken for that of the next request.
            connection.close()
            raise
        if connection.usable:
            self._idle.append(connection)
        return answer

    def close(self) -> None:
        """Close the connections that are not in use."""
        while self._idle:
            self._idle.pop().close()


class _Connection(asyncio.Protocol):
    """A connection, for one request after the other."""

    def __init__(self) -> None:
        self.heard = False
        """Something of the answer has come."""
        self.usable = True
        """Another request may follow."""
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Answer] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._parts: list[bytes] = []
        self._ends_by_closing = False

    async def ask(self, request: bytes) -> Answer:
        """Send a request, and wait for its answer.

        Raises:
            ConnectionError: the connection broke, or what came is not HTTP.

        """
        self.heard = False
        if self._transport is None or self._transport.is_closing():
            raise ConnectionResetError("the server has closed the connection")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        self.usable = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.heard = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(ConnectionAbortedError(f"an answer that is not HTTP: {error}"))

    def eof_received(self) -> None:
        if self._ends_by_closing:
            self.on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(ConnectionResetError(str(exc) if exc else "the server closed the connection"))

    def on_message_begin(self) -> None:
        self._headers, self._parts = {}, []

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        sized = "content-length" in self._headers or "transfer-encoding" in self._headers
        self._ends_by_closing = not sized and self._parser.get_status_code() not in _NO_BODY

    def on_body(self, body: bytes) -> None:
        self._parts.append(body)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < _FIRST_FINAL:
            return
        if self._answer is None or self._answer.done():
            # Nobody has asked.
            self.close()
            return
        self.usable = self._parser.should_keep_alive()
        self._answer.set_result(Answer(status, self._headers, b"".join(self._parts)))
        if not self.usable:
            self.close()

    def _fail(self, error: ConnectionError) -> None:
        self.close()
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
