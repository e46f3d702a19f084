"""Running an ASGI application as a process."""

import gc
import signal
import socket
import sys
from typing import Any, NoReturn, cast

import uvicorn
from starlette.types import ASGIApp

_BACKLOG = 2048


def serve(app: ASGIApp, listener: socket.socket, *, grace: float = 10.0) -> None:
    """Serve until SIGINT or SIGTERM; then answer what is under way, for `grace` seconds at the most, and exit 0."""
    # uvicorn catches these, and raises them again when all is answered: then they find what was set before.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end_well)
    config = uvicorn.Config(
        cast("Any", app),  # two spellings of the same protocol
        loop="uvloop",
        http="httptools",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        # Nothing here asks where a request came from.
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=int(grace),
    )
    # What the start has made stays: looking through it for garbage would stop every answer for a tenth of a second.
    gc.freeze()
    uvicorn.Server(config).run(sockets=[listener])


def _end_well(_number: int, _frame: object) -> NoReturn:
    sys.exit(0)
