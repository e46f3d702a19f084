"""A relay between a service and a server that it calls: it measures how long the server took for each question.

It forwards bytes as they come and parses only requests, because its own time counts as the retriever's.
"""

import asyncio
import contextlib
import re
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import cast

_MARK = re.compile(rb"ask(\d{8})")


class Relay:
    """Forwards connections. Questions are identified by the number in their text."""

    def __init__(self) -> None:
        self.port = 0
        self.target = 0
        """The port of the server; set it before the first question."""
        self.seconds: defaultdict[int, float] = defaultdict(float)
        """Seconds by question, the sum of its requests: from the last forwarded byte of a request to the last byte of
        its answer."""
        self.connections: set[_Asked] = set()

    def settle(self) -> None:
        """Count all requests that are answered by now."""
        for connection in self.connections:
            connection.settle()


class _Asked(asyncio.Protocol):
    """The connection to the client. Requests on a connection follow one another."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._loop = asyncio.get_running_loop()
        self._asker: asyncio.Transport | None = None
        self._server: asyncio.Transport | None = None
        self._request: list[bytes] = []
        self._passed = 0
        self._sent_at = 0.0
        self._answered_at: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._asker = cast("asyncio.Transport", transport)
        self._relay.connections.add(self)
        connecting = self._loop.create_task(self._connect())
        connecting.add_done_callback(lambda done: self.hang_up() if done.exception() else None)

    async def _connect(self) -> None:
        transport, _ = await self._loop.create_connection(lambda: _Answering(self), "127.0.0.1", self._relay.target)
        self._server = transport
        for data in self._request:
            transport.write(data)
        self._sent_at = time.perf_counter()

    def data_received(self, data: bytes) -> None:
        self.settle()
        self._request.append(data)
        if self._server is not None:
            self._server.write(data)
            self._sent_at = time.perf_counter()

    def answered(self, data: bytes) -> None:
        """Forward a piece of an answer; the last one before the next request is its end."""
        if self._asker is not None:
            self._asker.write(data)
        self._answered_at = time.perf_counter()

    def settle(self) -> None:
        """Count the request, if it is answered."""
        if self._answered_at is None:
            return
        for number in {int(found) for found in _MARK.findall(b"".join(self._request))}:
            self._relay.seconds[number] += self._answered_at - self._sent_at
        self._request.clear()
        self._answered_at = None

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.settle()
        self._relay.connections.discard(self)
        if self._server is not None:
            self._server.close()

    def hang_up(self) -> None:
        """Close the connection, as the server has done."""
        if self._asker is not None:
            self._asker.close()


class _Answering(asyncio.Protocol):
    """The connection to the server."""

    def __init__(self, asked: _Asked) -> None:
        self._asked = asked

    def data_received(self, data: bytes) -> None:
        self._asked.answered(data)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._asked.hang_up()


@contextlib.asynccontextmanager
async def relaying() -> AsyncIterator[Relay]:
    """Listen on a free port."""
    relay = Relay()
    server = await asyncio.get_running_loop().create_server(lambda: _Asked(relay), "127.0.0.1", 0)
    relay.port = server.sockets[0].getsockname()[1]
    try:
        yield relay
    finally:
        server.close()
