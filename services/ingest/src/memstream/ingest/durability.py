"""Waiting until what was appended is durable."""

from typing import Any

import redis.exceptions

from memstream.runtime.errors import ConfigurationError, Unavailable
from memstream.streams.connections import DEPENDENCY, Pipeline, Redis, redis_faults


class Durability:
    """Makes sure that writes are on Redis' disk before they are confirmed.

    With `appendfsync always`, the reply to a write is enough. With any other policy, it waits with WAITAOF.
    """

    def __init__(self, client: Redis, *, require_fsync: bool, timeout: float) -> None:
        self._client = client
        self._require_fsync = require_fsync
        self._wait_ms = int(timeout * 1000)
        self._needs_waitaof = False

    async def read_policy(self) -> None:
        """Read Redis' configuration, and decide whether to wait for the disk.

        Raises:
            ConfigurationError: Redis writes nothing to disk, and fsync is required.
            Unavailable: Redis cannot be reached.

        """
        if not self._require_fsync:
            return
        with redis_faults():
            persistence = await self._client.info("persistence")
            try:
                policy = (await self._client.config_get("appendfsync")).get("appendfsync")
            except redis.exceptions.ResponseError:
                policy = None  # Managed services forbid CONFIG. Waiting for the disk is right with every policy.
        if not persistence.get("aof_enabled"):
            raise ConfigurationError(
                "Redis' append-only file is off, so a crash would lose accepted messages: "
                "set `appendonly yes` there, or MEMSTREAM_INGEST_DURABILITY=memory to accept the loss"
            )
        self._needs_waitaof = policy != "always"

    async def execute(self, pipe: Pipeline, /, *, raise_on_error: bool = True) -> list[Any]:
        """Run a pipeline of writes, wait for the disk if needed, and return the answers to the writes.

        With `raise_on_error=False`, refused writes are returned as exceptions in the list.

        Raises:
            Unavailable: the writes were not on disk in time.

        """
        # `read_policy` may change this while the pipeline is executed.
        waits = self._needs_waitaof
        if waits:
            pipe.waitaof(1, 0, self._wait_ms)
        answers = await pipe.execute(raise_on_error=raise_on_error)
        if not waits:
            return answers
        *writes, flushed = answers
        if isinstance(flushed, Exception):
            raise flushed
        if flushed[0] < 1:
            raise Unavailable(DEPENDENCY, "the append-only file was not written in time")
        return writes
