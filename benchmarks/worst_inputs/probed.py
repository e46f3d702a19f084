"""Runs a service with a probe of its event loop: `python -m benchmarks.worst_inputs.probed retriever`.

`GET /probe` answers with the longest stop of the loop since it was last asked: the seconds, and how many of them the
process spent on a core. The rest was others' use of the machine.
"""

import argparse
import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from importlib import import_module

from starlette.types import ASGIApp, Receive, Scope, Send

from memstream.runtime.clock import SystemClock
from memstream.runtime.configuration import load_settings
from memstream.runtime.sockets import listen
from memstream.runtime.telemetry import configure_logging
from memstream.web.server import serve

_TICK = 0.002

SERVICES: Mapping[str, str] = {"retriever": "RetrieverSettings", "ingest": "IngestSettings"}
"""The settings of each service that can be run."""


@dataclass(slots=True)
class Stop:
    """A stop of the event loop, in seconds."""

    wall: float = 0.0
    cpu: float = 0.0


class Probe:
    """ASGI middleware that measures how late a timer of the event loop is."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._longest = Stop()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request, or the lifespan."""
        if scope["type"] == "lifespan":
            async with self._ticking():
                await self._app(scope, receive, send)
        elif scope["path"] == "/probe":
            longest, self._longest = self._longest, Stop()
            body = json.dumps({"wall": longest.wall, "cpu": longest.cpu}).encode()
            headers = [(b"content-length", str(len(body)).encode())]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body})
        else:
            await self._app(scope, receive, send)

    @contextlib.asynccontextmanager
    async def _ticking(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._tick())
        try:
            yield
        finally:
            task.cancel()

    async def _tick(self) -> None:
        wall, cpu = time.perf_counter(), time.process_time()
        while True:
            await asyncio.sleep(_TICK)
            now, used = time.perf_counter(), time.process_time()
            late = now - wall - _TICK
            # By what this process did: a machine that others use too delays every timer.
            if min(late, used - cpu) > min(self._longest.wall, self._longest.cpu):
                self._longest = Stop(late, used - cpu)
            wall, cpu = now, used


def main() -> None:
    """Serve until SIGINT or SIGTERM. The settings come from the environment, as the service's own."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.worst_inputs.probed", description=__doc__)
    parser.add_argument("service", choices=SERVICES)
    name = parser.parse_args().service
    settings = load_settings(getattr(import_module(f"memstream.{name}.settings"), SERVICES[name]))
    configure_logging(name, "WARNING")
    interval = getattr(import_module(f"memstream.{name}.__main__"), "SWITCH_SECONDS", None)
    if interval is not None:
        sys.setswitchinterval(interval)
    build: Callable[..., ASGIApp] = import_module(f"memstream.{name}.app").build
    serve(Probe(build(settings, SystemClock())), listen(settings.host, settings.port))


if __name__ == "__main__":
    main()
