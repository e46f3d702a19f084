"""The three things that can stand where Qdrant does, started and stopped for tests."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import engines
import httpx
import pytest
from engines import collection_name, qdrant_process
from ports import free_ports
from qdrant_client import AsyncQdrantClient, models
from waiting import PATIENCE, until

IMAGE = "qdrant/qdrant:v1.20.0"
BACKENDS = ("memory", "edge", "server")

DOCKER_SOCKET = "/var/run/docker.sock"


class EdgeServer:
    """``python -m memstream.local.qdrant`` as a child process on a free port."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.port = free_ports()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = run_edge(self.port, data)

    async def ready(self) -> "EdgeServer":
        """Wait until the server answers."""
        async with httpx.AsyncClient() as http:

            async def answers() -> bool:
                if self.process.poll() is not None:
                    pytest.fail(f"the server ended: {self.process.communicate()}")
                try:
                    return (await http.get(f"{self.url}/readyz")).is_success
                except httpx.TransportError:
                    return False

            await until(answers, "the edge server answers")
        return self

    def kill(self) -> None:
        """End the server as a crash would."""
        self.process.kill()
        self.process.communicate()

    def stop(self) -> tuple[int, str, str]:
        """End the server as a supervisor would; return its status, output and errors."""
        self.process.send_signal(signal.SIGTERM)
        output, errors = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, output, errors


def run_edge(port: int, data: Path) -> subprocess.Popen[str]:
    """Start the command without waiting for anything."""
    command = [sys.executable, "-m", "memstream.local.qdrant", "--port", str(port), "--data", str(data)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@dataclass(frozen=True)
class Backend:
    """Something that answers as Qdrant does, and what it is known to lack."""

    name: str
    client: AsyncQdrantClient
    url: str = ""
    api_key: str | None = None

    @property
    def is_reference(self) -> bool:
        """Whether this is the client's own in-memory Qdrant, which has no HTTP, no indexes and no text models."""
        return self.name == "memory"

    async def index(self, collection: str, field: str, schema: models.PayloadSchemaType) -> None:
        """Create a payload index; the in-memory reference needs none and warns about it."""
        if not self.is_reference:
            await self.client.create_payload_index(collection, field, schema, wait=True)


@asynccontextmanager
async def serving(name: str, data: Path) -> AsyncIterator[Backend]:
    """Start one of ``BACKENDS``; skip where it cannot be had."""
    match name:
        case "memory":
            client = AsyncQdrantClient(":memory:")
            yield Backend(name, client)
            await client.close()
        case "edge":
            server = await EdgeServer(data).ready()
            client = AsyncQdrantClient(url=server.url, check_compatibility=False)
            yield Backend(name, client, server.url)
            await client.close()
            server.stop()
        case _:
            async with _server(data) as (url, api_key):
                headers = {} if api_key is None else {"api-key": api_key}
                client = AsyncQdrantClient(url=url, headers=headers, timeout=int(PATIENCE), check_compatibility=False)
                yield Backend(name, client, url, api_key)
                await client.close()


@asynccontextmanager
async def _server(data: Path) -> AsyncIterator[tuple[str, str | None]]:
    """Yield where a Qdrant server is: the one that was named, one from a binary, or one in a container."""
    chosen = engines.chosen()
    if chosen.qdrant_url is not None:
        yield chosen.qdrant_url, chosen.qdrant_api_key
    elif chosen.qdrant_binary is not None:
        async with running_binary(chosen.qdrant_binary, data) as url:
            yield url, None
    else:
        async with _container() as url:
            yield url, None


@asynccontextmanager
async def running_binary(binary: Path, data: Path) -> AsyncIterator[str]:
    """Run a Qdrant server of this test's own."""
    port = free_ports(2)
    argv, variables = qdrant_process(binary, data, port, None)
    with (data / "qdrant.log").open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *argv, cwd=data, stdout=output, stderr=output, env={**os.environ, **variables}
        )
    url = f"http://127.0.0.1:{port}"
    try:
        async with httpx.AsyncClient() as http:

            async def answers() -> bool:
                assert process.returncode is None, (data / "qdrant.log").read_text()
                try:
                    return (await http.get(f"{url}/readyz")).is_success
                except httpx.TransportError:
                    return False

            await until(answers, "the Qdrant server answers")
        yield url
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


@asynccontextmanager
async def _container() -> AsyncIterator[str]:
    if not has_docker():
        pytest.skip(f"no --qdrant-url, no --qdrant-binary, and no Docker engine answers at {DOCKER_SOCKET}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library warns of its own past
        from testcontainers.qdrant import QdrantContainer  # noqa: PLC0415

        container = QdrantContainer(IMAGE)
        await asyncio.to_thread(container.start)
    try:
        yield f"http://{container.rest_host_address}"
    finally:
        await asyncio.to_thread(container.stop)


def has_docker() -> bool:
    """Say whether a Docker engine answers on this machine."""
    with socket.socket(socket.AF_UNIX) as engine:
        return engine.connect_ex(DOCKER_SOCKET) == 0


def fresh_name() -> str:
    """Return a collection's name that no other test has."""
    return collection_name()
