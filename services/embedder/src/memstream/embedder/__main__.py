"""Run the embedder: `python -m memstream.embedder`; or restore the collection: `… restore LOCATION`."""

import argparse
import asyncio
import contextlib
import gc
import os
import signal
import socket
from collections.abc import Iterator
from random import SystemRandom

import uvicorn
import uvloop

from memstream.embedder.app import Embedder, build
from memstream.embedder.restoring import RestoreRequest, restore
from memstream.embedder.settings import EmbedderSettings
from memstream.embedder.subscriptions import DISABLE_FASTSTREAM_SUPERVISOR
from memstream.embedder.worker import LoopEnded
from memstream.runtime.clock import SystemClock
from memstream.runtime.configuration import load_settings, stop_with
from memstream.runtime.errors import ConfigurationError, GlobalFault, Rejected, Unavailable
from memstream.runtime.security_headers import SECURITY_HEADERS
from memstream.runtime.sockets import listen
from memstream.runtime.telemetry import configure_logging


def main() -> None:
    """Read the environment, and work until SIGINT or SIGTERM."""
    arguments = _arguments()
    os.environ[DISABLE_FASTSTREAM_SUPERVISOR] = "1"
    try:
        settings = load_settings(EmbedderSettings)
        if arguments.command == "restore":
            _restore(settings, arguments)
            return
        configure_logging("embedder", settings.log_level)
        embedder = build(settings, SystemClock(), SystemRandom())
        listener = listen(settings.host, settings.port)
    except ConfigurationError as error:
        stop_with(error)
    # What exists at the start stays. To search it for garbage would stop the work for a tenth of a second.
    gc.freeze()
    try:
        uvloop.run(_run(embedder, listener))
    except ConfigurationError as error:
        stop_with(error)
    except LoopEnded as error:
        stop_with(error, 1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m memstream.embedder",
        description="Reads messages from Redis streams, embeds them and stores them in Qdrant. Settings come from "
        "the environment: MEMSTREAM_EMBEDDER_REDIS_URL, …_QDRANT_URL, …_EMBEDDINGS_API_KEY and so on.",
    )
    commands = parser.add_subparsers(dest="command")
    restore = commands.add_parser("restore", help="restore the collection from a snapshot and the streams")
    restore.add_argument("location", help="a URL of the snapshot that Qdrant can read")
    restore.add_argument("--replace", action="store_true", help="delete the collection that is there")
    restore.add_argument(
        "--since", type=int, metavar="MS", help="read again from this time on, not as the snapshot says"
    )
    restore.add_argument("--partially", action="store_true", help="though the streams may lack messages")
    return parser.parse_args()


def _restore(settings: EmbedderSettings, arguments: argparse.Namespace) -> None:
    request = RestoreRequest(
        arguments.location, replace=arguments.replace, since=arguments.since, partially=arguments.partially
    )
    try:
        asyncio.run(restore(settings, request, SystemClock(), lambda line: print(line, flush=True)))  # noqa: T201 - a command's output
    except (GlobalFault, Unavailable, Rejected) as error:
        stop_with(error, 1)


_CONNECTIONS = 100


class _OperationsServer(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone: they stop the worker, which then stops this server."""
        yield


async def _run(embedder: Embedder, listener: socket.socket) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    config = uvicorn.Config(
        embedder.operations,
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        headers=list(SECURITY_HEADERS),
        # It is for operators; nobody else takes the memory that the messages in progress need.
        limit_concurrency=_CONNECTIONS,
    )
    server = _OperationsServer(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await embedder.worker.run(stop)
    finally:
        server.should_exit = True
        await serving


if __name__ == "__main__":
    main()
