"""Tombstones that are of no use any more are removed."""

from collections.abc import Sequence
from typing import Any

import redis.exceptions

from memstream.contracts import keys
from memstream.embedder.streams import SourceStream
from memstream.streams.connections import Redis, decoded, redis_faults
from memstream.streams.scripts import Scripts
from memstream.streams.stream_scripts import REMOVE_TOMBSTONES, RemovalArguments, TombstoneKeys

_AT_ONCE = 500


class TombstoneSweep:
    """Removes tombstones whose time is over, unless an entry from before that waits to be stored.

    Any number of workers may do so at once.
    """

    def __init__(self, client: Redis, sources: Sequence[SourceStream]) -> None:
        self._client = client
        self._partitions = sorted({source.partition for source in sources})
        self._scripts = Scripts(client)

    async def sweep(self) -> None:
        """Look through all partitions once. One whose streams lack their group is left as it is.

        Raises:
            Unavailable: Redis is out of reach.

        """
        for partition in self._partitions:
            with redis_faults():
                before = await self._oldest_unsettled(partition)
            if before is not None:
                await self._remove(partition, before)

    async def _remove(self, partition: int, before: int) -> None:
        names = [decoded(name) for name in await self._over(partition, before)]
        while names:
            found = TombstoneKeys(keys.tombstones(partition), [keys.tombstone(partition, name) for name in names])
            await self._scripts.run(REMOVE_TOMBSTONES.call(found, RemovalArguments(before), names))
            names = [decoded(name) for name in await self._over(partition, before)]

    async def _over(self, partition: int, before: int) -> list[bytes]:
        with redis_faults():
            found: Any = await self._client.zrangebyscore(
                keys.tombstones(partition), "-inf", f"({before}", start=0, num=_AT_ONCE
            )
        return list(found)

    async def _oldest_unsettled(self, partition: int) -> int | None:
        """Return when the oldest entry of both lanes was appended that is not acknowledged, or the time now."""
        seconds, microseconds = await self._client.time()
        appended = [int(seconds) * 1000 + int(microseconds) // 1000]
        for lane in keys.LANES:
            stream = keys.stream(partition, lane)
            try:
                groups: Any = await self._client.xinfo_groups(stream)
                pending: Any = await self._client.xpending(stream, keys.GROUP)
            except redis.exceptions.ResponseError as error:
                if str(error).startswith(("NOGROUP", "no such key")):
                    return None
                raise
            delivered = next(decoded(one["last-delivered-id"]) for one in groups if one["name"] == keys.GROUP.encode())
            following: Any = await self._client.xrange(stream, min=f"({delivered}", count=1)
            waiting = [entry_id for entry_id, _ in following] + ([pending["min"]] if pending["pending"] else [])
            appended += [keys.entry_order(decoded(entry_id))[0] for entry_id in waiting]
        return min(appended)
