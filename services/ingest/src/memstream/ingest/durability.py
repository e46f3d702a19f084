"""Waiting until what was appended is durable."""

import re
from typing import Any

import redis.exceptions

from memstream.runtime.errors import ConfigurationError, Unavailable
from memstream.streams.connections import DEPENDENCY, Pipeline, Redis, primaries, redis_faults

_REPLICA = re.compile("slave[0-9]+")


class Durability:
    """Makes sure that writes are on Redis' disk before they are confirmed, and on the disks of replicas.

    With `appendfsync always`, the reply to a write is enough for the primary's disk. With any other policy, and for
    replicas, it waits with WAITAOF.
    """

    def __init__(self, client: Redis, *, require_fsync: bool, timeout: float, replicas: int = 0) -> None:
        """`replicas` is how many must have a write, besides the primary."""
        self._client = client
        self._require_fsync = require_fsync
        self._wait_ms = int(timeout * 1000)
        self._replicas = replicas
        self._needs_waitaof = False

    async def read_policy(self) -> None:
        """Read Redis' configuration, and decide whether to wait for the disk.

        Raises:
            ConfigurationError: Redis writes nothing to disk, and fsync is required.
            Unavailable: Redis cannot be reached, or has fewer replicas than must have each write.

        """
        if not self._require_fsync:
            return
        policies = [await self._policy_of(server) for server in await primaries(self._client)]
        self._needs_waitaof = any(policy != "always" for policy in policies)

    async def _policy_of(self, server: Redis) -> object:
        with redis_faults():
            persistence = await server.info("persistence")
            replication = await server.info("replication") if self._replicas else {}
            try:
                policy = (await server.config_get("appendfsync")).get("appendfsync")
            except redis.exceptions.ResponseError:
                policy = None  # Managed services forbid CONFIG. Waiting for the disk is right with every policy.
        if not persistence.get("aof_enabled"):
            raise ConfigurationError(
                "Redis' append-only file is off, so a crash would lose accepted messages: "
                "set `appendonly yes` there, or MEMSTREAM_INGEST_DURABILITY=memory to accept the loss"
            )
        online = sum(one.get("state") == "online" for name, one in replication.items() if _REPLICA.fullmatch(str(name)))
        if online < self._replicas:
            raise Unavailable(DEPENDENCY, f"{online} replicas follow, and {self._replicas} must have each write")
        return policy

    async def execute(self, pipe: Pipeline, /, *, raise_on_error: bool = True) -> list[Any]:
        """Run a pipeline of writes, wait for the disks if needed, and return the answers to the writes.

        With `raise_on_error=False`, refused writes are returned as exceptions in the list.

        Raises:
            Unavailable: the writes were not on disk in time.

        """
        # `read_policy` may change this while the pipeline is executed.
        needs_waitaof = self._needs_waitaof
        if self._replicas:
            # A replica that is asked at once answers before it has written, and once a second from then on. So it is
            # asked first whether it has received the writes: when it has answered that, it has written them.
            pipe.wait(self._replicas, self._wait_ms // 2)
            pipe.waitaof(1, self._replicas, self._wait_ms // 2)
        elif needs_waitaof:
            pipe.waitaof(1, 0, self._wait_ms)
        answers = await pipe.execute(raise_on_error=raise_on_error)
        if self._replicas:
            *writes, received, flushed = answers
            _check(received)
            _check(flushed)
            if flushed[1] < self._replicas:
                reason = "is `appendonly yes` set there?" if received >= self._replicas else "they did not receive it"
                raise Unavailable(
                    DEPENDENCY, f"{flushed[1]} of {self._replicas} replicas wrote to their disk in time: {reason}"
                )
        elif needs_waitaof:
            *writes, flushed = answers
            _check(flushed)
        else:
            return answers
        if flushed[0] < 1:
            raise Unavailable(DEPENDENCY, "the append-only file was not written in time")
        return writes


def _check(answer: object) -> None:
    if isinstance(answer, Exception):
        raise answer
