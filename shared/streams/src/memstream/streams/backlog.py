"""How many entries the consumer group still has to process."""

from collections.abc import Mapping
from typing import Any

from memstream.contracts import keys
from memstream.streams.connections import Redis, decoded, redis_faults
from memstream.streams.groups import missing_group
from memstream.streams.scripts import Scripts
from memstream.streams.stream_scripts import COUNT, CountArguments, StreamKeys

_COUNTED = 10_000
"""Entries counted one by one at most; of a larger backlog only an upper bound is returned."""

_COUNTED_AT_ONCE = 200
"""The server copies whole entries to count them, and blocks other commands meanwhile."""


async def backlog(client: Redis, stream: str) -> int:
    """Count the entries that the group is not done with: not delivered, or delivered and not acknowledged.

    After some deletions the server cannot tell. Then they are counted one by one; above 10,000 an upper bound is
    returned.

    Raises:
        Unavailable: Redis cannot be reached, or the group is missing.

    """
    with redis_faults():
        groups = await client.xinfo_groups(stream)
        group = next((g for g in groups if g["name"] == keys.GROUP.encode()), None)
        if group is None:
            raise missing_group(stream)
        lag = group.get("lag")
        if lag is None:
            lag = await _count_after(client, stream, decoded(group["last-delivered-id"]))
            if lag >= _COUNTED:
                lag = _upper_bound(await client.xinfo_stream(stream), group)
        return int(lag) + int(group["pending"])


async def _count_after(client: Redis, stream: str, entry_id: str) -> int:
    """Count entries on the server, a few at a time, up to `_COUNTED`."""
    scripts = Scripts(client)
    count, found = 0, _COUNTED_AT_ONCE
    while found == _COUNTED_AT_ONCE and count < _COUNTED:
        counted = await scripts.run(COUNT.call(StreamKeys(stream), CountArguments(entry_id, _COUNTED_AT_ONCE)))
        found, entry_id = counted
        count += found
    return count


def _upper_bound(stream: Mapping[str, Any], group: Mapping[str, Any]) -> int:
    """Return how many entries may be undelivered at most: all added since, or all that exist."""
    read = group.get("entries-read")
    length = int(stream["length"])
    return length if read is None else min(length, int(stream["entries-added"]) - int(read))
