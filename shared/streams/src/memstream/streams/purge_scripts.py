"""How the words of deleted messages leave the streams."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from memstream.streams.scripts import Script

CountedField = Literal["stream_entries", "dead_letters"]
"""The field of a receipt that counts what was removed."""


class PurgeKeys(NamedTuple):
    """A stream or the dead letters, the receipt of the deletion, and what is noted of kept bytes."""

    stream: str
    receipt: str
    kept: str


@dataclass(frozen=True, slots=True)
class PurgeArguments:
    """Entries to remove."""

    entry_ids: Sequence[str]
    field: CountedField
    youngest: int
    """When the last of them was appended, in milliseconds."""
    lifetime: int = 86_400
    """Of what is noted of kept bytes, in seconds: far longer than until a pass that was cut off is begun anew."""


# Removes entries, counts them in the receipt if that still exists, and returns how many there were. The server keeps
# several entries in a block, marks a removed one, and frees the block with its last entry. So bytes are known to be
# gone if as many blocks as entries went; otherwise the stream is noted, with the time of the youngest entry.
PURGE: Script[PurgeKeys, PurgeArguments, int] = Script(
    """
local stream, receipt, kept = KEYS[1], KEYS[2], KEYS[3]
local function count_blocks()
  if redis.call('EXISTS', stream) == 0 then return 0 end
  local info = redis.call('XINFO', 'STREAM', stream)
  for i = 1, #info, 2 do
    if info[i] == 'radix-tree-keys' then return info[i + 1] end
  end
  return 0
end
local before = count_blocks()
local removed = redis.call('XDEL', stream, unpack(arguments.entry_ids))
if removed > 0 and redis.call('EXISTS', receipt) == 1 then
  redis.call('HINCRBY', receipt, arguments.field, removed)
end
if before - count_blocks() < removed then
  local noted = tonumber(redis.call('HGET', kept, stream) or 0)
  redis.call('HSET', kept, stream, string.format('%.0f', math.max(noted, arguments.youngest)))
  redis.call('EXPIRE', kept, arguments.lifetime)
end
return removed
""",
    int,
    vital=True,
)


class NoteKeys(NamedTuple):
    """The partition's purges, and the receipt."""

    purges: str
    receipt: str


@dataclass(frozen=True, slots=True)
class NoteArguments:
    """How far a purge is. The payload is the purge as JSON; an empty one removes it."""

    erasure_id: str
    purged_at: str
    waiting: str
    """What the receipt says, as JSON."""


# Notes how far a purge is, for the workers and, if it is still kept, in the receipt.
NOTE_PURGE: Script[NoteKeys, NoteArguments, bool] = Script(
    """
local purges, receipt, purge = KEYS[1], KEYS[2], ARGV[2]
if purge == '' then redis.call('HDEL', purges, arguments.erasure_id)
else redis.call('HSET', purges, arguments.erasure_id, purge) end
if redis.call('EXISTS', receipt) == 0 then return 0 end
redis.call('HSETNX', receipt, 'purged_at', arguments.purged_at)
redis.call('HSET', receipt, 'waiting', arguments.waiting)
return 1
""",
    bool,
    vital=True,
)


class CountedKeys(NamedTuple):
    """The receipt."""

    receipt: str


@dataclass(frozen=True, slots=True)
class CountedArguments:
    """How many messages there were before they were removed."""

    messages: int


# Notes how many messages a deletion removes, if the receipt still exists. The first count holds: when the removal is
# repeated, some of them are gone.
NOTE_MESSAGES: Script[CountedKeys, CountedArguments, bool] = Script(
    """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
return redis.call('HSETNX', KEYS[1], 'messages', arguments.messages)
""",
    bool,
    vital=True,
)


@dataclass(frozen=True, slots=True)
class RemovedArguments:
    """What was removed from a partition that the user was in before; its receipt lies in the present one."""

    field: CountedField
    removed: int


# Adds to the counts of a receipt, if it still exists.
NOTE_REMOVED: Script[CountedKeys, RemovedArguments, bool] = Script(
    """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
return redis.call('HINCRBY', KEYS[1], arguments.field, arguments.removed)
""",
    bool,
    vital=True,
)
