"""Redis streams: the connection, the groups, and how far they have come."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import redis.asyncio
import redis.exceptions
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from memstream.contracts import keys
from memstream.contracts.keys import Position
from memstream.runtime.errors import ConfigurationError, Unavailable

Redis = redis.asyncio.Redis

DEPENDENCY = "Redis"

_CONNECTIONS = 64

_COUNTED = 10_000
"""Entries counted one by one at the most; of a larger backlog only a limit is told."""

_COUNTED_AT_ONCE = 200
"""The server copies them, whatever they hold, to count them; nobody else is served meanwhile."""

# KEYS: a stream. ARGV: behind which entry to count, and how many at the most. Answers how many, and the last one's id.
_COUNT = """
local entries = redis.call('XRANGE', KEYS[1], '(' .. ARGV[1], '+', 'COUNT', ARGV[2])
return {#entries, #entries > 0 and entries[#entries][1] or ARGV[1]}
"""


def connect(url: str, *, timeout: float = 5.0) -> Redis:
    """Make a client that answers bytes and gives up after `timeout` seconds. It connects at the first command.

    Raises:
        ConfigurationError: the URL is not one of Redis.

    """
    try:
        pool = redis.asyncio.BlockingConnectionPool.from_url(
            url,
            # Whoever finds all connections busy waits for one, instead of being told that Redis is gone.
            max_connections=_CONNECTIONS,
            timeout=timeout,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            socket_keepalive=True,
            health_check_interval=30,
            # One layer retries: the caller's. But a kept connection that the server closed meanwhile says nothing about
            # the server; it is replaced at once. Every command here may be sent twice.
            retry=Retry(NoBackoff(), 1, supported_errors=(redis.exceptions.ConnectionError,)),
        )
        return Redis.from_pool(pool)
    except ValueError as error:
        raise ConfigurationError(f"the Redis URL is not usable: {error}") from error


def decoded(value: object) -> str:
    """Read an answer that is text: bytes as the server sends them."""
    return value.decode() if isinstance(value, bytes) else str(value)


@contextmanager
def redis_faults() -> Iterator[None]:
    """Translate what redis-py raises. Answers that say "not now" (loading, read only, out of memory) are faults too."""
    try:
        yield
    except redis.exceptions.RedisError as error:
        raise Unavailable(DEPENDENCY, f"{type(error).__name__}: {error}"[:300]) from error
    except OSError as error:
        raise Unavailable(DEPENDENCY, f"{type(error).__name__}: {error}"[:300]) from error


async def create_groups(client: Redis, partitions: int) -> None:
    """Create every stream and its group from its first entry on, so that nothing written earlier is passed over.

    A group that is there stays as it is.

    Raises:
        Unavailable: Redis is out of reach.

    """
    with redis_faults():
        for partition in range(partitions):
            for lane in keys.LANES:
                try:
                    await client.xgroup_create(keys.stream(partition, lane), keys.GROUP, id="0", mkstream=True)
                except redis.exceptions.ResponseError as error:
                    if not str(error).startswith("BUSYGROUP"):
                        raise


async def are_done(client: Redis, positions: Sequence[Position]) -> list[bool]:
    """Say of each entry whether the group is done with it: delivered, and acknowledged.

    Raises:
        Unavailable: Redis is out of reach, or the group is gone.

    """
    names = list(dict.fromkeys(position.stream for position in positions))
    with redis_faults():
        async with client.pipeline(transaction=True) as pipe:
            for name in names:
                pipe.xinfo_groups(name)
                pipe.xpending(name, keys.GROUP)
            answers: list[Any] = await pipe.execute() if names else []
        progress = {
            name: _Progress.read(name, groups, pending)
            for name, groups, pending in zip(names, answers[::2], answers[1::2], strict=True)
        }
        done = [progress[position.stream].is_done(position) for position in positions]
        # Among those that were pending then, each has to be asked after. What is acknowledged stays acknowledged, so
        # it does no harm that this is a moment later.
        unclear = [place for place, is_done in enumerate(done) if is_done is None]
        async with client.pipeline(transaction=False) as pipe:
            for place in unclear:
                entry_id = positions[place].entry_id
                pipe.xpending_range(positions[place].stream, keys.GROUP, min=entry_id, max=entry_id, count=1)
            for place, pending in zip(unclear, await pipe.execute() if unclear else [], strict=True):
                done[place] = not pending
    return [bool(is_done) for is_done in done]


@dataclass(frozen=True, slots=True)
class _Progress:
    """How far the group has come in a stream: what was delivered last, and between which entries some are pending."""

    delivered: tuple[int, int]
    pending: tuple[tuple[int, int], tuple[int, int]] | None

    @classmethod
    def read(cls, stream: str, groups: Iterable[Mapping[str, Any]], pending: Mapping[str, Any]) -> "_Progress":
        for group in groups:
            if group["name"] == keys.GROUP.encode():
                bounds = None
                if pending["pending"]:
                    bounds = keys.entry_order(decoded(pending["min"])), keys.entry_order(decoded(pending["max"]))
                return cls(keys.entry_order(decoded(group["last-delivered-id"])), bounds)
        raise Unavailable(DEPENDENCY, f"the stream {stream} has no group {keys.GROUP!r}")

    def is_done(self, position: Position) -> bool | None:
        """Say whether the group is done with an entry; None when it is among those of which some are pending."""
        if position.order > self.delivered:
            return False
        if self.pending is None or not self.pending[0] <= position.order <= self.pending[1]:
            return True
        return None


async def ping(client: Redis) -> None:
    """Return if Redis answers.

    Raises:
        Unavailable: it doesn't.

    """
    with redis_faults():
        await client.ping()


async def backlog(client: Redis, stream: str) -> int:
    """Count the entries the group is not done with: not delivered, or delivered and not acknowledged.

    After some deletions the server can't tell. Then they are counted, and of more than 10,000 an upper limit is given.

    Raises:
        Unavailable: Redis is out of reach, or the group is gone.

    """
    with redis_faults():
        groups = await client.xinfo_groups(stream)
        group = next((g for g in groups if g["name"] == keys.GROUP.encode()), None)
        if group is None:
            raise Unavailable(DEPENDENCY, f"the stream {stream} has no group {keys.GROUP!r}")
        lag = group.get("lag")
        if lag is None:
            lag = await _count_after(client, stream, decoded(group["last-delivered-id"]))
            if lag >= _COUNTED:
                lag = _limit(await client.xinfo_stream(stream), group)
        return int(lag) + int(group["pending"])


async def _count_after(client: Redis, stream: str, entry_id: str) -> int:
    """Count entries on the server, a few at a time, up to `_COUNTED`."""
    count, found = 0, _COUNTED_AT_ONCE
    while found == _COUNTED_AT_ONCE and count < _COUNTED:
        answer: Any = await client.eval(_COUNT, 1, stream, entry_id, _COUNTED_AT_ONCE)
        found, entry_id = int(answer[0]), decoded(answer[1])
        count += found
    return count


def _limit(stream: Mapping[str, Any], group: Mapping[str, Any]) -> int:
    """Say how many entries are not delivered at the most: all that were added since, or all that are there."""
    read = group.get("entries-read")
    length = int(stream["length"])
    return length if read is None else min(length, int(stream["entries-added"]) - int(read))
