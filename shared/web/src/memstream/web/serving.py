"""Running an ASGI application as a process."""

import socket
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp

from memstream.runtime.errors import ConfigurationError

_BACKLOG = 2048


def listen(host: str, port: int, *, reuse_port: bool = False) -> socket.socket:
    """Bind a listening socket. With `reuse_port`, several processes share it and the kernel deals connections out.

    Raises:
        ConfigurationError: the address can't be had.

    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if reuse_port:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"can't listen on {host}:{port}: {error.strerror or error}; choose another port"
        ) from error
    listener.setblocking(False)  # noqa: FBT003 - the standard library takes it by position
    return listener


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
