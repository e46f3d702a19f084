"""Running an ASGI application as a process, with a graceful shutdown."""

import asyncio
import gc
import resource
import signal
import socket
import sys
from dataclasses import replace
from typing import Any, NoReturn, cast

import uvicorn
from starlette.types import ASGIApp

from memstream.runtime.security_headers import SECURITY_HEADERS
from memstream.web.protocol import ConnectionGuard
from memstream.web.settings import DEFAULT_HTTP_LIMITS, HttpLimits

_BACKLOG = 2048

_OTHER_FILES = 200
"""Files that are no connections of clients."""


def serve(
    app: ASGIApp, listener: socket.socket, limits: HttpLimits = DEFAULT_HTTP_LIMITS, *, grace: float = 10.0
) -> None:
    """Serve until SIGINT or SIGTERM, then finish open requests for up to `grace` seconds, and exit 0."""
    # uvicorn catches these signals and raises them again when it is done: they then find the handlers set here.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _exit)
    # Objects made until now stay alive: scanning them for garbage would halt every request for a tenth of a second.
    gc.freeze()
    uvicorn.Server(configure(app, ConnectionGuard(_within_open_files(limits)), grace=grace)).run(sockets=[listener])


def configure(app: ASGIApp, guard: ConnectionGuard, *, grace: float) -> uvicorn.Config:
    """Return the configuration of a server whose connections are guarded."""
    return uvicorn.Config(
        cast("Any", app),  # two spellings of the same protocol
        loop="uvloop",
        # uvicorn calls it with the arguments of a protocol's class.
        http=cast("type[asyncio.Protocol]", guard),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        headers=list(SECURITY_HEADERS),
        # Nothing here uses the client's address.
        proxy_headers=False,
        backlog=_BACKLOG,
        # The guard ends idle connections earlier.
        timeout_keep_alive=int(2 * guard.limits.idle_timeout.total_seconds()) + 1,
        timeout_graceful_shutdown=int(grace),
    )


def _within_open_files(limits: HttpLimits) -> HttpLimits:
    """Return the limits with no more connections than the process may have files."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = limits.connections + _OTHER_FILES
    allowed = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(allowed, resource.getrlimit(resource.RLIMIT_NOFILE)[0]), hard))
    return replace(limits, connections=max(1, min(limits.connections, allowed - _OTHER_FILES)))


def _exit(_number: int, _frame: object) -> NoReturn:
    sys.exit(0)
