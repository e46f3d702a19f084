"""The consumer group: created on every stream, and asked how far it has come."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import redis.exceptions

from memstream.contracts import keys
from memstream.contracts.keys import Position
from memstream.runtime.errors import Unavailable
from memstream.streams.connections import DEPENDENCY, Redis, decoded, redis_faults


async def create_groups(client: Redis, partitions: int) -> None:
    """Create every stream with its group. The group starts at the first entry, so nothing written earlier is skipped.

    A group that exists is left as it is.

    Raises:
        Unavailable: Redis cannot be reached.

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
    """Return for each entry whether the group is done with it: delivered and acknowledged.

    Raises:
        Unavailable: Redis cannot be reached, or the group is missing.

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
        # Entries between the first and the last pending one have to be looked up one by one. An acknowledged entry
        # stays acknowledged, so it does no harm that this happens a moment later.
        unclear = [index for index, is_done in enumerate(done) if is_done is None]
        async with client.pipeline(transaction=False) as pipe:
            for index in unclear:
                entry_id = positions[index].entry_id
                pipe.xpending_range(positions[index].stream, keys.GROUP, min=entry_id, max=entry_id, count=1)
            for index, pending in zip(unclear, await pipe.execute() if unclear else [], strict=True):
                done[index] = not pending
    return [bool(is_done) for is_done in done]


def missing_group(stream: str) -> Unavailable:
    """Return the error for a stream without the group."""
    return Unavailable(DEPENDENCY, f"the stream {stream} has no group {keys.GROUP!r}")


@dataclass(frozen=True, slots=True)
class _Progress:
    """How far the group has come in a stream: the last delivered entry, and the first and last pending one."""

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
        raise missing_group(stream)

    def is_done(self, position: Position) -> bool | None:
        """Return whether the group is done with an entry; None between the first and the last pending one."""
        if position.order > self.delivered:
            return False
        if self.pending is None or not self.pending[0] <= position.order <= self.pending[1]:
            return True
        return None
