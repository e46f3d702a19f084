"""The streams in Redis, as ingest writes and asks them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

import redis.exceptions

from memstream.contracts import keys
from memstream.contracts.keys import Position, Seen
from memstream.contracts.messages import MessageStatus
from memstream.ingest.admission import Reading
from memstream.ingest.durability import Durability
from memstream.ingest.recording import EVENT_TYPE, Entry, size_of
from memstream.runtime import streams
from memstream.runtime.streams import Redis, decoded, redis_faults

# One step on the server: look each message up, append it, remember it. A repeat after a lost answer finds the key.
# What was there before its user was erased counts as never seen.
# KEYS: the stream, then a seen-key for each message, then an erased-key for each.
# ARGV: lifetime in seconds, "partition.lane.", type, then the data of each message.
# Answers a line for each: the id of the new entry, or `=` and what the seen-key says.
_APPEND = (
    keys.WAS_BEFORE_LUA
    + """
local count = #ARGV - 3
local answer = {}
for i = 1, count do
  local known = redis.call('GET', KEYS[1 + i])
  local erased = known and redis.call('GET', KEYS[1 + count + i])
  if erased then
    local lane, id = known:match('%.(%a+)%.(%d+%-%d+)')
    if was_before(erased, lane, id) then known = false end
  end
  if known then
    answer[i] = '=' .. known
  else
    local id = redis.call('XADD', KEYS[1], '*', 'type', ARGV[3], 'data', ARGV[3 + i])
    redis.call('SET', KEYS[1 + i], ARGV[2] .. id, 'EX', ARGV[1])
    answer[i] = id
  end
end
return table.concat(answer, '\\n')
"""
)

_SCRIPT_MESSAGES = 250
_SCRIPT_BYTES = 1024 * 1024
"""What one call of the script holds at the most, or one message: it holds the server up for some milliseconds."""


class Appended(NamedTuple):
    """Where a message lies, and whether it lay there before."""

    position: str
    """As `Position` writes itself."""
    duplicate: bool
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class MessageFate:
    """Where a message lies and what became of it."""

    position: Position
    state: MessageStatus
    reason: str | None = None


class StreamLog:
    """Appends messages durably, each once, and tells what became of them."""

    def __init__(self, client: Redis, durability: Durability, *, dedup_seconds: int) -> None:
        self._client = client
        self._durability = durability
        self._dedup_seconds = dedup_seconds
        self._append = client.register_script(_APPEND)

    async def prepare(self, partitions: int) -> None:
        """Create the groups.

        Raises:
            Unavailable: Redis is out of reach.

        """
        await streams.create_groups(self._client, partitions)

    async def append(self, entries: Sequence[Entry]) -> list[Appended]:
        """Append entries in one round trip; each is on disk when this returns. In the order given.

        Raises:
            Unavailable: Redis is out of reach, or was not on disk in time. Some may have been appended;
                appending them again adds nothing.

        """
        sorted_calls = calls(entries)
        with redis_faults():
            try:
                answers = await self._run(sorted_calls, entries)
            except redis.exceptions.NoScriptError:
                # The server was restarted and has forgotten the script.
                await self._client.script_load(_APPEND)
                answers = await self._run(sorted_calls, entries)
        found: dict[int, Appended] = {}
        for call, answer in zip(sorted_calls, answers, strict=True):
            found.update(zip(call.indexes, _read(decoded(answer), call.prefix), strict=True))
        return [found[index] for index in range(len(entries))]

    async def _run(self, sorted_calls: Sequence["Call"], entries: Sequence[Entry]) -> list[Any]:
        async with self._client.pipeline(transaction=False) as pipe:
            for call in sorted_calls:
                chosen = [entries[index] for index in call.indexes]
                names = [call.stream, *(entry.seen_key for entry in chosen), *(entry.erased_key for entry in chosen)]
                data = (entry.data for entry in chosen)
                pipe.evalsha(self._append.sha, len(names), *names, self._dedup_seconds, call.prefix, EVENT_TYPE, *data)
            self._durability.wait_in(pipe)
            return self._durability.checked(await pipe.execute())

    async def look_up(self, partition: int, message: UUID, owner: UUID) -> MessageFate | None:
        """Say what became of a message; None if it was not seen within the dedup window.

        Raises:
            Unavailable: Redis is out of reach, or the group is gone.

        """
        names = [keys.seen(partition, message), keys.erased(partition, owner)]
        with redis_faults():
            first = (await self._client.mget(names))[0]
        if first is None:
            return None
        position = Seen.parse(decoded(first)).position
        (done,) = await streams.are_done(self._client, [position])
        with redis_faults():
            # Read again after the question above: a message's end is written in one step with its acknowledgement.
            seen, erased = await self._client.mget(names)
            last = Seen.parse(decoded(seen or first))
            if last.erasure_id or (erased is not None and _was_before(erased, last.position)):
                return MessageFate(last.position, "deleted")
            if last.dead_entry_id is None:
                return MessageFate(position, "stored" if done else "queued")
            letters = await self._client.xrange(keys.dead_letters(partition), last.dead_entry_id, last.dead_entry_id)
        fields: Any = letters[0][1] if letters else {}
        # An operator may have dropped the letter, and its reason with it.
        reason = fields.get(b"reason")
        return MessageFate(position, "dead", None if reason is None else decoded(reason))

    async def read_pressure(self, partitions: int) -> Reading:
        """Read how much waits to be embedded, and how full Redis is.

        Raises:
            Unavailable: Redis is out of reach, or a group is missing.

        """
        backlog = 0
        with redis_faults():
            for partition in range(partitions):
                for lane in keys.LANES:
                    backlog += await streams.backlog(self._client, keys.stream(partition, lane))
            memory = await self._client.info("memory")
        limit = int(memory.get("maxmemory") or 0)
        return Reading(backlog=backlog, memory=int(memory["used_memory"]) / limit if limit else 0.0)


def _was_before(mark: object, position: Position) -> bool:
    return keys.was_before(decoded(mark), position.lane, position.entry_id)


@dataclass(frozen=True, slots=True)
class Call:
    """A call of the script: which entries it appends to one stream."""

    partition: int
    lane: keys.Lane
    indexes: Sequence[int]

    @property
    def stream(self) -> str:
        """Where they go."""
        return keys.stream(self.partition, self.lane)

    @property
    def prefix(self) -> str:
        """What stands before an entry's id in a position."""
        return f"{self.partition}.{self.lane}."


def calls(entries: Sequence[Entry]) -> list[Call]:
    """Sort entries into calls: one stream each, and not more than holds the server up for a moment."""
    found: list[Call] = []
    open_calls: dict[tuple[int, keys.Lane], tuple[list[int], int]] = {}
    for index, entry in enumerate(entries):
        indexes, size = open_calls.get((entry.partition, entry.lane), ([], _SCRIPT_BYTES))
        size += size_of(entry)
        if size > _SCRIPT_BYTES or len(indexes) == _SCRIPT_MESSAGES:
            indexes, size = [], size_of(entry)
            found.append(Call(entry.partition, entry.lane, indexes))
        indexes.append(index)
        open_calls[entry.partition, entry.lane] = indexes, size
    return found


def _read(answers: str, prefix: str) -> list[Appended]:
    """Read what the script answered."""
    found = []
    for line in answers.split("\n"):
        if line[0] == "=":
            known = Seen.parse(line[1:])
            found.append(Appended(str(known.position), duplicate=True, deleted=known.erasure_id is not None))
        else:
            found.append(Appended(prefix + line, duplicate=False))
    return found
