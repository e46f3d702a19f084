"""Running an ASGI application as a process, with a graceful shutdown."""

import gc
import signal
import socket
import sys
from typing import Any, NoReturn, cast

import uvicorn
from starlette.types import ASGIApp

from memstream.runtime.security_headers import SECURITY_HEADERS

_BACKLOG = 2048


def serve(app: ASGIApp, listener: socket.socket, *, grace: float = 10.0) -> None:
    """Serve until SIGINT or SIGTERM, then finish open requests for up to `grace` seconds, and exit 0."""
    # uvicorn catches these signals and raises them again when it is done: they then find the handlers set here.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _exit)
    config = uvicorn.Config(
        cast("Any", app),  # two spellings of the same protocol
        loop="uvloop",
        http="httptools",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        headers=list(SECURITY_HEADERS),
        # Nothing here uses the client's address.
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=int(grace),
    )
    # Objects made until now stay alive: scanning them for garbage would halt every request for a tenth of a second.
    gc.freeze()
    uvicorn.Server(config).run(sockets=[listener])


def _exit(_number: int, _frame: object) -> NoReturn:
    sys.exit(0)
