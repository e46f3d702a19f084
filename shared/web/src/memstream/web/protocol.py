"""uvicorn's HTTP protocol, with bounds on what a client may send, and on how long it may take."""

import math
from asyncio import AbstractEventLoop, BaseTransport, Transport
from http import HTTPStatus
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from memstream.runtime.fair_queue import FairQueue
from memstream.web.connection_table import ConnectionTable, network_of
from memstream.web.problems import problem
from memstream.web.settings import HttpLimits

_SWEEP_SECONDS = 0.5
_LINGER_SECONDS = 5.0
"""How long the rest of a body that nobody needs is read: closed earlier, the client might not see its answer."""

_LEFTOVER_PAUSE = 0.005
"""Between two reads of what nobody needs, of all connections together: 256 KiB each, so 50 MB/s."""

_GOODBYE_SECONDS = 1.0
"""The same for a client that is cut off in the middle of a body."""

_PIPELINED = 16
"""Requests that a client may send before the answer to the first."""

_RETRY_AFTER = 1.0


class ConnectionGuard:
    """Makes the protocol of each connection of a server, and ends connections that take too long.

    The rest of a body whose request is answered already is read at a low pace, `leftover_pause` seconds between two
    reads of any connections, whose addresses take turns: reading what is thrown away must not take the time of other
    requests.
    """

    def __init__(self, limits: HttpLimits, *, leftover_pause: float = _LEFTOVER_PAUSE) -> None:
        self.limits = limits
        self.table = ConnectionTable(total=limits.connections, per_address=limits.connections_per_address)
        self._is_sweeping = False
        self._leftover_pause = leftover_pause
        self._leftovers: FairQueue[str, BoundedProtocol] = FairQueue()

    def __call__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: AbstractEventLoop | None = None,
    ) -> "BoundedProtocol":
        """Return the protocol of a new connection."""
        return BoundedProtocol(self, config, server_state, app_state, _loop)

    def watch(self, loop: AbstractEventLoop) -> None:
        """Look for overdue connections now and then, as long as there are connections."""
        if not self._is_sweeping:
            self._is_sweeping = True
            loop.call_later(_SWEEP_SECONDS, self._sweep, loop)

    def read_later(self, connection: "BoundedProtocol", loop: AbstractEventLoop) -> None:
        """Let a connection whose request is answered read on, when it is its turn."""
        self._leftovers.push(connection.address, connection)
        if len(self._leftovers) == 1:
            loop.call_later(self._leftover_pause, self._read_leftovers, loop)

    def _read_leftovers(self, loop: AbstractEventLoop) -> None:
        _, connection = self._leftovers.pop()
        connection.flow.resume_reading()
        if self._leftovers:
            loop.call_later(self._leftover_pause, self._read_leftovers, loop)

    def _sweep(self, loop: AbstractEventLoop) -> None:
        self._is_sweeping = False
        self.table.expire(loop.time())
        if len(self.table):
            self.watch(loop)


class BoundedProtocol(HttpToolsProtocol):
    """One connection. Its client has sent a request's head by a deadline, then its body, then read the response."""

    def __init__(
        self,
        guard: ConnectionGuard,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        loop: AbstractEventLoop | None,
    ) -> None:
        super().__init__(config, server_state, app_state, loop)
        self._guard = guard
        self._limits = guard.limits
        self.address = ""
        self.deadline = math.inf
        self._is_in_head = False
        self._is_in_body = False
        self._has_leftovers = False
        self._is_ending = False
        self._head_bytes = 0
        self._begun_bytes = 0
        self._body_end = math.inf

    def connection_made(self, transport: BaseTransport) -> None:
        """Begin to wait for a request, if there is room for the connection."""
        super().connection_made(cast("Transport", transport))
        self.address = network_of(self.client[0]) if self.client else ""
        if not self._guard.table.add(self):
            self._end(HTTPStatus.SERVICE_UNAVAILABLE, "too many connections", retry_after=_RETRY_AFTER)
            return
        self._guard.watch(self.loop)
        self._set_deadline(self._limits.head_timeout.total_seconds())

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._guard.table.remove(self)
        self.deadline = math.inf
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what the client sent."""
        if self._is_ending:
            return
        super().data_received(data)
        if self._has_leftovers and not self._is_ending:
            self.flow.pause_reading()
            self._guard.read_later(self, self.loop)
        if self._is_in_head:
            # What is not a whole line yet; the parser tells of the others.
            begun = len(data) - data.rfind(b"\n") - 1
            self._begun_bytes = begun if begun < len(data) else self._begun_bytes + begun
            self._count_head(0)

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._is_in_head = True
        self._head_bytes = self._begun_bytes = 0
        self._set_deadline(self._limits.head_timeout.total_seconds())

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note a header; one behind the body is ignored."""
        self._begun_bytes = 0
        self._count_head(len(name) + len(value) + len(b": \r\n"))
        if self._is_in_head and not self._is_ending:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin to work on a request, whose body follows."""
        self._is_in_head = False
        self._begun_bytes = 0
        self._count_head(len(self.url))
        if len(self.pipeline) >= _PIPELINED:
            self._end(HTTPStatus.SERVICE_UNAVAILABLE, "too many requests before an answer", retry_after=_RETRY_AFTER)
        if self._is_ending:
            return
        self._is_in_body = True
        self._body_end = self.loop.time() + self._limits.body_timeout.total_seconds()
        self._set_deadline(self._limits.body_idle_timeout.total_seconds())
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body."""
        if self._is_ending:
            return
        if not self.cycle.response_complete:
            self._set_deadline(self._limits.body_idle_timeout.total_seconds())
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note the end of a request."""
        if self._is_ending:
            return
        self._is_in_body = self._has_leftovers = False
        self.deadline = math.inf
        self._guard.table.work_for(self)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Begin to wait for the next request."""
        super().on_response_complete()
        if not self.cycle.response_complete:
            # The next one was sent already.
            return
        # uvicorn keeps it until the next request.
        self.cycle.body = bytearray()
        self._guard.table.wait_for(self)
        self._has_leftovers = self._is_in_body
        if self._is_in_body:
            self._set_deadline(_LINGER_SECONDS)
        elif self.flow.write_paused:
            self._set_deadline(self._limits.response_timeout.total_seconds())
        else:
            self._set_deadline(self._limits.idle_timeout.total_seconds())

    def pause_writing(self) -> None:
        """Begin to wait until the client reads on."""
        super().pause_writing()
        self._set_deadline(self._limits.response_timeout.total_seconds())

    def resume_writing(self) -> None:
        """Stop waiting for the client."""
        super().resume_writing()
        if self._is_ending:
            return
        self.deadline = math.inf
        if self.cycle is None or self.cycle.response_complete:
            self._set_deadline(self._limits.idle_timeout.total_seconds())

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that nothing is sent on."""
        super().timeout_keep_alive_handler()
        # What the client has not read yet would keep it open.
        self._is_ending = True
        self._set_deadline(self._limits.response_timeout.total_seconds())

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP."""
        self._end(HTTPStatus.BAD_REQUEST, msg)

    def expire(self) -> None:
        """End the connection, whose client took too long."""
        if self._is_ending or self.flow.write_paused:
            self.transport.abort()
        elif self.flow.read_paused and not self._has_leftovers and self.loop.time() < self._body_end:
            # It's the service that doesn't read on.
            self._set_deadline(self._limits.body_idle_timeout.total_seconds())
        else:
            self._end(HTTPStatus.REQUEST_TIMEOUT, "the request was not complete in time")

    def give_way(self) -> None:
        """End the connection in favour of a new one."""
        self._end(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "too many connections, and this one is slow",
            retry_after=_RETRY_AFTER,
        )
        # It isn't in the table any more, so nobody else ends it if the client doesn't read the answer.
        self.loop.call_later(_SWEEP_SECONDS, self.transport.abort)

    def _count_head(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes + self._begun_bytes > self._limits.head_bytes:
            self._end(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"headers over the limit of {self._limits.head_bytes} bytes"
            )

    def _set_deadline(self, seconds: float) -> None:
        deadline = self.loop.time() + seconds
        self.deadline = min(deadline, self._body_end) if self._is_in_body else deadline

    def _end(self, status: HTTPStatus, detail: str, *, retry_after: float | None = None) -> None:
        """Close the connection, with an answer if a request has begun that has none."""
        if self._is_ending:
            return
        self._is_ending = True
        cycle = self.cycle
        is_answering = cycle is not None and not cycle.response_complete
        is_begun = self._is_in_head or (self._is_in_body and not self._has_leftovers)
        is_asking = is_begun
        if status != HTTPStatus.REQUEST_TIMEOUT:
            is_asking = is_asking or cycle is None or status == HTTPStatus.BAD_REQUEST
        # What is answered already, or will be, can't have this answer too.
        is_told = is_asking and not (is_answering and (cycle.response_started or not self._is_in_body))
        if is_told:
            self.transport.write(self._answer(status, detail, retry_after))
        if is_answering:
            cycle.disconnected = True
            cycle.message_event.set()
        if is_told and is_begun:
            self._linger()
        else:
            self.transport.close()
        self._set_deadline(self._limits.response_timeout.total_seconds())

    def _linger(self) -> None:
        """Read on for a moment: to close while the client sends would reset the connection, and the answer with it."""
        self.transport.write_eof()
        self.flow.resume_reading()
        self._guard.table.remove(self)
        self.loop.call_later(_GOODBYE_SECONDS, self.transport.abort)

    def _answer(self, status: HTTPStatus, detail: str, retry_after: float | None) -> bytes:
        response = problem(status, detail, retry_after=retry_after, headers={"Connection": "close"})
        head = [f"HTTP/1.1 {status.value} {status.phrase}".encode()]
        head += [name + b": " + value for name, value in [*self.server_state.default_headers, *response.raw_headers]]
        return b"\r\n".join([*head, b"", bytes(response.body)])
