"""Connections to Redis, and the translation of its errors."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from ssl import SSLContext
from typing import Any

import redis.asyncio
import redis.exceptions
from redis.asyncio.connection import AbstractConnection, Connection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelManagedConnection, SentinelManagedSSLConnection
from redis.backoff import NoBackoff

from memstream.runtime.errors import ConfigurationError, Full, Unavailable
from memstream.runtime.tls import context_for
from memstream.streams.cluster import ClusterRedis
from memstream.streams.primary_pool import PrimaryPool
from memstream.streams.redis_url import GroupUrl, read_url

Redis = redis.asyncio.Redis

Pipeline = redis.asyncio.client.Pipeline

DEPENDENCY = "Redis"

_CONNECTIONS = 64

_SENTINEL_TIMEOUT = 1.0
"""Seconds until the next Sentinel is asked."""

_PASSING = ("UNBLOCKED", "NOREPLICAS", "WAIT cannot be used with replica", "WAITAOF cannot be used with replica")
"""How a server's answer begins that is no primary now, or may not write: this passes, perhaps with another server."""


def connect(url: str, *, timeout: float = 5.0, ca_file: Path | None = None, connections: int = _CONNECTIONS) -> Redis:
    """Return a client that answers bytes and gives up after `timeout` seconds. It connects at the first command.

    The URL is that of one server, of the Sentinels that know which server is the primary, or of a cluster (see
    `redis_url`); `connections` is how many are open to each server at most. If its scheme begins with `rediss` it
    speaks TLS, and trusts the authorities in `ca_file`, or the system's.

    Raises:
        ConfigurationError: the URL is not a Redis URL, or the file not usable.

    """
    context = context_for(url, ca_file)
    options: dict[str, Any] = {
        # A caller that finds all connections busy waits for one; it gets no error as if Redis were down.
        "max_connections": connections,
        "timeout": timeout,
        **_options(timeout, retries=1),
        "health_check_interval": 30,
    }
    try:
        address = read_url(url)
        if not isinstance(address, GroupUrl):
            pool = redis.asyncio.BlockingConnectionPool.from_url(url, **options)
            pool.connection_class = _own(pool.connection_class, context)
            return Redis.from_pool(pool)
    except ValueError as error:
        raise ConfigurationError(f"the Redis URL is not usable: {error}") from error
    options |= {"username": address.username, "password": address.password}
    if address.is_cluster:
        base = redis.asyncio.SSLConnection if address.uses_tls else Connection
        return ClusterRedis(address.nodes, partial(_open_node, connection_class=_own(base, context), **options))
    return _follow_primary(address, context, options)


def _options(timeout: float, *, retries: int) -> dict[str, Any]:
    return {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "socket_keepalive": True,
        # Only the caller retries. The exception: a kept connection that the server has closed is replaced at once,
        # since it says nothing about the server. Every command here may be sent twice.
        "retry": Retry(NoBackoff(), retries, supported_errors=(redis.exceptions.ConnectionError,)),
    }


def _open_node(host: str, port: int, **options: Any) -> Redis:  # noqa: ANN401 - the library's own
    return Redis.from_pool(redis.asyncio.BlockingConnectionPool(host=host, port=port, **options))


def _follow_primary(address: GroupUrl, context: SSLContext | None, options: dict[str, Any]) -> Redis:
    """Return a client of the server that Sentinel says is the primary, asked anew for each connection."""
    manager = Sentinel([])  # type: ignore[no-untyped-call] # the library's
    manager.sentinels = [
        _open_node(
            host,
            port,
            connection_class=_own(redis.asyncio.SSLConnection if address.uses_tls else Connection, context),
            username=address.options.get("sentinel_username"),
            password=address.options.get("sentinel_password"),
            **_options(_SENTINEL_TIMEOUT, retries=0),
        )
        for host, port in address.nodes
    ]
    base = SentinelManagedSSLConnection if address.uses_tls else SentinelManagedConnection
    pool = PrimaryPool(  # type: ignore[no-untyped-call] # the library's
        address.primary, manager, connection_class=_own(base, context), db=address.database, **options
    )
    return Redis.from_pool(pool)


def _own(base: type[AbstractConnection], context: SSLContext | None) -> type[AbstractConnection]:
    """Return a connection that trusts what the context does, and ends when its server is no primary any more."""

    class OwnConnection(base):  # type: ignore[misc, valid-type] # known at run time only
        def __init__(self, **options: Any) -> None:  # noqa: ANN401 - the library's own
            super().__init__(**options)
            if context is not None:
                # The library's option for a CA file trusts the system's authorities besides it.
                self.ssl_context.context = context

        async def read_response(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - the library's own
            try:
                return await super().read_response(*args, **options)
            except redis.exceptions.ResponseError as error:
                if not str(error).startswith(_PASSING) and not isinstance(error, _PASSING_ERRORS):
                    raise
                # The next connection may be to another server. A reader takes it for what it is: a fault that passes.
                await self.disconnect()
                raise redis.exceptions.ConnectionError(f"{type(error).__name__}: {error}") from error

    return OwnConnection


_PASSING_ERRORS = (
    redis.exceptions.ReadOnlyError,
    redis.exceptions.MasterDownError,
    redis.exceptions.ClusterDownError,
)
"""The same, where the library knows them."""


def decoded(value: object) -> str:
    """Return an answer that is text; the server sends bytes."""
    return value.decode() if isinstance(value, bytes) else str(value)


@contextmanager
def redis_faults() -> Iterator[None]:
    """Translate what redis-py raises into `Unavailable`: also "loading" and "read only". "Out of memory" is `Full`."""
    try:
        yield
    except redis.exceptions.OutOfMemoryError as error:
        raise Full(DEPENDENCY, str(error)[:300]) from error
    except redis.exceptions.RedisError as error:
        raise Unavailable(DEPENDENCY, f"{type(error).__name__}: {error}"[:300]) from error
    except OSError as error:
        raise Unavailable(DEPENDENCY, f"{type(error).__name__}: {error}"[:300]) from error


async def primaries(client: Redis) -> Sequence[Redis]:
    """Return a client for each server that has keys: for what is asked of servers, not of keys.

    Raises:
        Unavailable: the servers of a cluster cannot be reached.

    """
    if not isinstance(client, ClusterRedis):
        return [client]
    with redis_faults():
        return await client.primaries()


async def ping(client: Redis) -> None:
    """Raise unless Redis answers, in a cluster each server that has keys.

    Raises:
        Unavailable: it does not.

    """
    with redis_faults():
        await asyncio.gather(*(server.ping() for server in await primaries(client)))
