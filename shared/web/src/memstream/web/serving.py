"""Running an ASGI application as a process."""

import socket
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp

_BACKLOG = 2048


def serve(app: ASGIApp, listener: socket.socket, *, grace: float = 10.0) -> None:
    """Serve until SIGINT or SIGTERM; then answer what is under way, for `grace` seconds at the most."""
    config = uvicorn.Config(
        cast("Any", app),  # two spellings of the same protocol
        loop="uvloop",
        http="httptools",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=int(grace),
    )
    uvicorn.Server(config).run(sockets=[listener])
