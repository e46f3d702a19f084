"""Connections to Redis, and the translation of its errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from ssl import SSLContext
from typing import Any

import redis.asyncio
import redis.exceptions
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from memstream.runtime.errors import ConfigurationError, Full, Unavailable
from memstream.runtime.tls import context_for

Redis = redis.asyncio.Redis

Pipeline = redis.asyncio.client.Pipeline

DEPENDENCY = "Redis"

_CONNECTIONS = 64


def connect(url: str, *, timeout: float = 5.0, ca_file: Path | None = None) -> Redis:
    """Return a client that answers bytes and gives up after `timeout` seconds. It connects at the first command.

    With a URL that begins with `rediss://` it speaks TLS, and trusts the authorities in `ca_file`, or the system's.

    Raises:
        ConfigurationError: the URL is not a Redis URL, or the file not usable.

    """
    context = context_for(url, ca_file)
    try:
        pool = redis.asyncio.BlockingConnectionPool.from_url(
            url,
            # A caller that finds all connections busy waits for one; it gets no error as if Redis were down.
            max_connections=_CONNECTIONS,
            timeout=timeout,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            socket_keepalive=True,
            health_check_interval=30,
            # Only the caller retries. The exception: a kept connection that the server has closed is replaced at once,
            # since it says nothing about the server. Every command here may be sent twice.
            retry=Retry(NoBackoff(), 1, supported_errors=(redis.exceptions.ConnectionError,)),
        )
        if context is not None:
            pool.connection_class = _trusting_connections(context)
        return Redis.from_pool(pool)
    except ValueError as error:
        raise ConfigurationError(f"the Redis URL is not usable: {error}") from error


def _trusting_connections(context: SSLContext) -> type[redis.asyncio.SSLConnection]:
    class TrustingConnection(redis.asyncio.SSLConnection):
        def __init__(self, **options: Any) -> None:  # noqa: ANN401 - the library's own
            super().__init__(**options)
            # The library's option for a CA file trusts the system's authorities besides it.
            self.ssl_context.context = context

    return TrustingConnection


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


async def ping(client: Redis) -> None:
    """Raise unless Redis answers.

    Raises:
        Unavailable: it does not.

    """
    with redis_faults():
        await client.ping()
