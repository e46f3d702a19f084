"""Serves one model on one address until a signal arrives."""

import socket

import uvicorn

from memstream.local.embeddings.app import build, guarded
from memstream.local.embeddings.model import Model
from memstream.local.embeddings.scheduler import Scheduler
from memstream.runtime.security_headers import SECURITY_HEADERS

# A request of 2,048 texts takes about 4 s.
_GRACE_SECONDS = 10

_BACKLOG = 1024


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 is any free port. Raises `OSError` if it can't be bound.

    Connections that arrive while the model is being loaded wait.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


def serve(  # noqa: PLR0913 - named arguments, set in one place
    model: Model, listening: socket.socket, *, host: str, api_key: str | None, threads: int, log_level: str
) -> None:
    """Print that the server is ready, and answer requests until SIGTERM or SIGINT.

    Only clients with the key are served, all if it is None.

    Requests in progress have ten seconds to finish. Then the signal goes to the handler it had before.
    """
    scheduler = Scheduler(model, threads=threads)
    config = uvicorn.Config(
        guarded(build(model, scheduler), host=host, api_key=api_key),
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,
        server_header=False,
        headers=list(SECURITY_HEADERS),
        log_level=log_level,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    # The first batch is slow; it also shows that the model works.
    model.embed(model.tokenise(["ready"]))
    try:
        _AnnouncingServer(
            config, f"embeddings: {model.name}, {model.dimensions} dimensions, ready at {_url(listening)}"
        ).run(sockets=[listening])
    finally:
        scheduler.close()


class _AnnouncingServer(uvicorn.Server):
    """Prints a line once it answers requests."""

    def __init__(self, config: uvicorn.Config, line: str) -> None:
        super().__init__(config)
        self._line = line

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(self._line, flush=True)  # noqa: T201


def _url(listening: socket.socket) -> str:
    host, port, *_ = listening.getsockname()
    return f"http://[{host}]:{port}/v1" if ":" in host else f"http://{host}:{port}/v1"
