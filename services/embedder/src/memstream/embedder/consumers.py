"""Names that workers leave behind in the groups: removed once nothing belongs to them and nobody uses them."""

import logging
from collections.abc import Sequence
from typing import Any

import redis.exceptions

from memstream.embedder.streams import SourceStream
from memstream.embedder.trimmer import DECLARED_GROUPS
from memstream.streams.connections import Redis, redis_faults
from memstream.streams.scripts import Scripts
from memstream.streams.stream_scripts import REMOVE_CONSUMER, GroupArguments, StreamKeys

_log = logging.getLogger(__name__)


class ConsumerCleanup:
    """Removes consumers that were idle for `idle` seconds and have nothing pending; never the one named `own`.

    A worker that comes back to its name after all is given it anew by its next read.
    """

    def __init__(self, client: Redis, sources: Sequence[SourceStream], *, own: str, idle: float) -> None:
        self._client = client
        self._sources = sources
        self._own = own.encode()
        self._idle_ms = idle * 1000
        self._scripts = Scripts(client)

    async def remove_gone(self) -> None:
        """Look through all groups once.

        Raises:
            Unavailable: Redis is out of reach.

        """
        with redis_faults():
            for source in self._sources:
                for group in DECLARED_GROUPS:
                    await self._look_through(source.name, group)

    async def _look_through(self, stream: str, group: str) -> None:
        try:
            consumers: Any = await self._client.xinfo_consumers(stream, group)
        except redis.exceptions.ResponseError as error:
            if str(error).startswith(("NOGROUP", "no such key")):
                # Trimming says so.
                return
            raise
        for consumer in consumers:
            name = consumer["name"]
            if name == self._own or consumer["pending"] or consumer["idle"] < self._idle_ms:
                continue
            if await self._scripts.run(REMOVE_CONSUMER.call(StreamKeys(stream), GroupArguments(group), [name])):
                _log.info("removed the consumer %r of %s, gone for %d s", name, stream, consumer["idle"] // 1000)
