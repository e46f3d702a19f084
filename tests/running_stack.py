"""The stack that most tests share: the one that `memstream up` starts, or services on containers."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import engines
import httpx
import pytest
from contract.qdrant_backends import DOCKER_SOCKET, has_docker, running_binary
from engines import collection_name
from installation import Installation, installed
from ports import free_ports
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import LogMessageWaitStrategy
from waiting import PATIENCE, until

from memstream.contracts.stack import Stack
from memstream.streams.connections import Redis, connect

REDIS_IMAGE = "redis:8"
QDRANT_IMAGE = "qdrant/qdrant:v1.20.0"
_REDIS_PORT = 6379
_QDRANT_PORT = 6333


@dataclass(frozen=True, slots=True)
class RunningStack:
    """A stack that runs, and its clients with the tenant's key."""

    home: Path
    info: Stack
    ingest: httpx.AsyncClient
    retriever: httpx.AsyncClient
    redis: Redis


@contextlib.asynccontextmanager
async def local(home: Path) -> AsyncIterator[RunningStack]:
    """Run `memstream up`, on the servers that were chosen."""
    async with contextlib.AsyncExitStack() as opened:
        options = await _server_options(home, opened)
        yield await opened.enter_async_context(_up(home, options))


async def _server_options(home: Path, opened: contextlib.AsyncExitStack) -> list[str]:
    chosen, options = engines.chosen(), []
    if chosen.qdrant_binary is not None:
        folder = home / "server"
        folder.mkdir()
        options += ["--qdrant-url", await opened.enter_async_context(running_binary(chosen.qdrant_binary, folder))]
    if chosen.qdrant_url is not None:
        options += ["--qdrant-url", chosen.qdrant_url, "--collection", collection_name()]
    if chosen.qdrant_api_key is not None:
        key_file = home / "qdrant-api-key"
        key_file.write_text(chosen.qdrant_api_key)
        options += ["--qdrant-api-key-file", str(key_file)]
    if chosen.redis_url is not None:
        options += ["--redis-url", chosen.redis_url]
    return options


@contextlib.asynccontextmanager
async def _up(home: Path, options: Sequence[str]) -> AsyncIterator[RunningStack]:
    with (home / "up.log").open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(str(Path(sys.executable).with_name("memstream")), "up", "--home", str(home)),
            *("--port-base", str(free_ports(6))),
            *options,
            stdout=output,
            stderr=output,
        )
    try:

        def there() -> bool:
            assert process.returncode is None, (home / "up.log").read_text()
            return (home / "stack.json").exists()

        await until(there, "memstream up is ready")
        async with _connected(home, Stack.model_validate_json((home / "stack.json").read_bytes())) as stack:
            yield stack
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()


@contextlib.asynccontextmanager
async def on_containers(home: Path) -> AsyncIterator[RunningStack]:
    """Run the services here, on Redis and Qdrant in containers. Skips where there is no Docker engine."""
    redis_port, qdrant_port, containers = await asyncio.to_thread(_start_containers)
    redis_url, qdrant_url = f"redis://127.0.0.1:{redis_port}/0", f"http://127.0.0.1:{qdrant_port}"
    elsewhere: Mapping[str, Mapping[str, str]] = {
        "ingest-1": {"MEMSTREAM_INGEST_REDIS_URL": redis_url},
        "embedder-1": {"MEMSTREAM_EMBEDDER_REDIS_URL": redis_url, "MEMSTREAM_EMBEDDER_QDRANT_URL": qdrant_url},
        "retriever-1": {"MEMSTREAM_RETRIEVER_REDIS_URL": redis_url, "MEMSTREAM_RETRIEVER_QDRANT_URL": qdrant_url},
    }
    try:
        async with installed(Installation(home, model="minilm", settings=elsewhere)) as parts:
            await parts.start("redis", "embeddings")
            # The keys' child writes the keys' file; the Redis that counts gets them here.
            await parts.start("keys")
            await _copy_keys(parts.redis, connect(redis_url))
            await parts.start("ingest-1", "embedder-1", "retriever-1")
            info = parts.info.model_copy(
                update={"redis_url": redis_url, "qdrant_url": qdrant_url, "qdrant_api_key": None}
            )
            (home / "stack.json").write_text(info.model_dump_json())
            async with _connected(home, info) as stack:
                yield stack
    finally:
        for container in containers:
            container.stop()


def _start_containers() -> tuple[int, int, list[DockerContainer]]:
    if not has_docker():
        pytest.skip(f"no Docker engine answers at {DOCKER_SOCKET}")
    redis = DockerContainer(REDIS_IMAGE).with_exposed_ports(_REDIS_PORT)
    redis = redis.with_command(
        "redis-server --appendonly yes --appendfsync always --maxmemory-policy noeviction --stream-node-max-entries 1"
    )
    redis = redis.waiting_for(LogMessageWaitStrategy("Ready to accept connections"))
    qdrant = DockerContainer(QDRANT_IMAGE).with_exposed_ports(_QDRANT_PORT)
    qdrant = qdrant.waiting_for(LogMessageWaitStrategy("Qdrant HTTP listening"))
    redis.start()
    qdrant.start()
    return int(redis.get_exposed_port(_REDIS_PORT)), int(qdrant.get_exposed_port(_QDRANT_PORT)), [redis, qdrant]


async def _copy_keys(source: Redis, target: Redis) -> None:
    async for name in source.scan_iter("memstream:credential:*"):
        fields: Any = await source.hgetall(name)
        await target.hset(name, mapping=fields)
    await target.aclose()


@contextlib.asynccontextmanager
async def _connected(home: Path, info: Stack) -> AsyncIterator[RunningStack]:
    headers = {"Authorization": f"Bearer {info.api_key}"}
    redis = connect(info.redis_url)
    async with (
        httpx.AsyncClient(base_url=info.ingest_url, headers=headers, timeout=PATIENCE) as ingest,
        httpx.AsyncClient(base_url=info.retriever_url, headers=headers, timeout=PATIENCE) as retriever,
    ):
        yield RunningStack(home, info, ingest, retriever, redis)
    await redis.aclose()
