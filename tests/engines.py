"""The servers that tests run on, where they are not the local stack's own.

A server of somebody else's is left as it was found: collections have names of this run, and are deleted at its end; a
Redis has to be empty before, and is emptied after.
"""

import asyncio
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
from qdrant_client import AsyncQdrantClient

from benchmarks import qdrant_server
from memstream.streams.connections import Redis, connect, primaries

qdrant_process = qdrant_server.qdrant_process

_RUN = secrets.token_hex(4)
"""In the name of every collection that this process makes."""

_numbers: Iterator[int] = count(1)
_names: list[str] = []


@dataclass(frozen=True, slots=True)
class Engines:
    """What the command line says of servers."""

    qdrant_url: str | None = None
    qdrant_api_key: str | None = None
    qdrant_binary: Path | None = None
    """A Qdrant server that tests start themselves, so that they can also end it."""
    redis_url: str | None = None

    @property
    def foreign(self) -> frozenset[str]:
        """The parts that are not the tests' own."""
        named = {"qdrant": self.qdrant_url, "redis": self.redis_url}
        return frozenset(part for part, url in named.items() if url is not None)


_chosen = Engines()


def chosen() -> Engines:
    """Give what was chosen on the command line."""
    return _chosen


def add_options(parser: pytest.Parser) -> None:
    """Let the caller choose."""
    group = parser.getgroup("servers")
    group.addoption("--qdrant-url", metavar="URL", help="run on this Qdrant; tests that end it are skipped")
    group.addoption("--qdrant-api-key-file", type=Path, metavar="FILE", help="the API key of that Qdrant")
    group.addoption("--qdrant-binary", type=Path, metavar="FILE", help="run on Qdrant servers started from this binary")
    group.addoption("--redis-url", metavar="URL", help="run on this Redis, which has to be empty; one process alone")


def choose(config: pytest.Config) -> None:
    """Take the choice from the command line."""
    global _chosen  # noqa: PLW0603 - one choice for the whole process, as pytest's options are
    key_file, binary = config.getoption("--qdrant-api-key-file"), config.getoption("--qdrant-binary")
    if binary is not None and not binary.is_file():
        raise pytest.UsageError(f"--qdrant-binary: there is no file {binary}")
    if binary is not None and config.getoption("--qdrant-url") is not None:
        raise pytest.UsageError("--qdrant-binary and --qdrant-url: one of them")
    _chosen = Engines(
        qdrant_url=config.getoption("--qdrant-url"),
        qdrant_api_key=None if key_file is None else key_file.read_text().strip(),
        qdrant_binary=None if binary is None else binary.absolute(),
        redis_url=config.getoption("--redis-url"),
    )
    if _chosen.redis_url is not None and config.getoption("numprocesses", None):
        raise pytest.UsageError("--redis-url: without -n, since tests empty their Redis between them")
    if _chosen.redis_url is not None and asyncio.run(_keys_in(_chosen.redis_url)):
        raise pytest.UsageError("--redis-url: that database is not empty, and tests would empty it")


def clean_up() -> None:
    """Remove what this run has left in servers of somebody else's."""
    if _chosen.qdrant_url is not None:
        asyncio.run(_delete_collections(_chosen.qdrant_url, _chosen.qdrant_api_key))
    if _chosen.redis_url is not None:
        asyncio.run(_empty_at(_chosen.redis_url))


def collection_name() -> str:
    """Return a collection's name that nobody else has."""
    name = f"test-{_RUN}-{next(_numbers)}"
    _names.append(name)
    return name


def require_own(part: str, use: str) -> None:
    """Skip the test if this part is somebody else's; `use` is what the test does with it."""
    if part in _chosen.foreign:
        pytest.skip(f"--{part}-url: the test {use} {part}, and that one is not its own")


async def empty(redis: Redis) -> None:
    """Remove all keys, from each server that has any."""
    for server in await primaries(redis):
        await server.flushdb()


def require_embedded() -> None:
    """Skip the test if it would run on other servers than those that a local stack starts."""
    if _chosen != Engines():
        pytest.skip("the test is about the servers that a local stack starts: leave out --qdrant-… and --redis-url")


async def _delete_collections(url: str, api_key: str | None) -> None:
    client = AsyncQdrantClient(url=url, check_compatibility=False, headers={"api-key": api_key} if api_key else {})
    try:
        for name in _names:
            await client.delete_collection(name)
    finally:
        await client.close()


async def _keys_in(url: str) -> int:
    redis = connect(url)
    try:
        return sum([int(await server.dbsize()) for server in await primaries(redis)])
    finally:
        await redis.aclose()


async def _empty_at(url: str) -> None:
    redis = connect(url)
    try:
        await empty(redis)
    finally:
        await redis.aclose()
