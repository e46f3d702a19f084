"""The command ``python -m memstream.local.qdrant``."""

import argparse
import logging
import os
import signal
import socket
import sys
from pathlib import Path

import orjson
import uvicorn

from memstream.local.qdrant.errors import ApiError
from memstream.local.qdrant.server import SHUTDOWN_TIMEOUT, build, guarded
from memstream.local.qdrant.storage import DirectoryInUseError, Storage
from memstream.runtime.security_headers import SECURITY_HEADERS

_BACKLOG = 2048
_KEEP_ALIVE = 75  # seconds, longer than clients keep idle connections
_SWITCH_INTERVAL = 0.001
"""Seconds after which a computing thread yields to another. Python's 5 ms add up, several times per request."""
_LEVELS = ("critical", "error", "warning", "info", "debug")


def main() -> int:
    """Serve until a signal arrives; return the exit status."""
    arguments = _arguments()
    sys.setswitchinterval(_SWITCH_INTERVAL)
    logging.basicConfig(level=arguments.log_level.upper(), format="%(levelname)s %(name)s: %(message)s")
    try:
        listener = _listen(arguments.host, arguments.port)
    except OSError as error:
        return _fail(f"cannot listen on {arguments.host}:{arguments.port}: {error.strerror}")
    try:
        storage = Storage(arguments.data)
    except (DirectoryInUseError, OSError, ApiError, orjson.JSONDecodeError) as error:
        return _fail(f"cannot open {arguments.data}: {error}")
    _serve(listener, storage, arguments)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m memstream.local.qdrant",
        description="Serve the part of Qdrant's REST API that Memstream uses, from Qdrant's own engine. "
        "Clients must have the key in the environment variable MEMSTREAM_LOCAL_QDRANT_API_KEY, if it is set.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=6333, help="port to listen on, 0 for any (default: %(default)s)")
    parser.add_argument("--data", type=Path, required=True, help="data directory, which holds the collections")
    parser.add_argument("--log-level", choices=_LEVELS, default="warning", help="default: %(default)s")
    return parser.parse_args()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _serve(listener: socket.socket, storage: Storage, arguments: argparse.Namespace) -> None:
    host, port = listener.getsockname()[:2]
    line = f"qdrant: ready on http://{f'[{host}]' if ':' in host else host}:{port}, data in {arguments.data}\n"

    def on_ready() -> None:
        sys.stdout.write(line)
        sys.stdout.flush()

    config = uvicorn.Config(
        guarded(
            build(storage, on_ready), host=arguments.host, api_key=os.environ.get("MEMSTREAM_LOCAL_QDRANT_API_KEY")
        ),
        log_level=arguments.log_level,
        access_log=False,
        server_header=False,
        headers=list(SECURITY_HEADERS),
        # Nothing here uses a client's address or a web socket.
        proxy_headers=False,
        ws="none",
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=int(SHUTDOWN_TIMEOUT.total_seconds()),
    )
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: None)  # uvicorn raises the signal again when it is done
    uvicorn.Server(config).run(sockets=[listener])


def _fail(reason: str) -> int:
    sys.stderr.write(f"error: {reason}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
