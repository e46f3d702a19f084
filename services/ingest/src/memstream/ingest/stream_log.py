"""The streams in Redis, as ingest writes and asks them."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import redis.exceptions

from memstream.contracts import keys
from memstream.contracts.keys import Position, Seen
from memstream.contracts.messages import MessageStatus
from memstream.ingest.admission import Reading
from memstream.ingest.durability import Durability
from memstream.ingest.recording import Entry
from memstream.runtime import streams
from memstream.runtime.streams import Redis, decoded, redis_faults

# One step on the server: look the message up, append it, remember it. A repeat after a lost answer finds the key.
# What was there before its user was erased counts as never seen.
# KEYS: the stream, then a seen-key and an erased-key for each message. ARGV: lifetime in seconds, "partition.lane.",
# then a type and the data for each message. Answers two values for each: what the seen-key says, and 1 for a repeat.
_APPEND = """
local function before(position, mark)
  local lane, ms, seq = position:match('%.(%a+)%.(%d+)%-(%d+)')
  local mark_ms, mark_seq = mark:match('^(%d+)%-(%d+)')
  ms, mark_ms = tonumber(ms), tonumber(mark_ms)
  if ms ~= mark_ms or lane ~= 'live' then return ms <= mark_ms end
  return tonumber(seq) <= tonumber(mark_seq)
end
local answer = {}
for i = 2, #KEYS, 2 do
  local known = redis.call('GET', KEYS[i])
  local erased = known and redis.call('GET', KEYS[i + 1])
  if erased and before(known, erased) then known = false end
  local repeated = 1
  if not known then
    local id = redis.call('XADD', KEYS[1], '*', 'type', ARGV[i + 1], 'data', ARGV[i + 2])
    known = ARGV[2] .. id
    redis.call('SET', KEYS[i], known, 'EX', ARGV[1])
    repeated = 0
  end
  answer[#answer + 1] = known
  answer[#answer + 1] = repeated
end
return answer
"""

_SCRIPT_MESSAGES = 250
"""Messages in one call of the script: it holds the server up for about a millisecond."""


@dataclass(frozen=True, slots=True)
class Appended:
    """Where a message lies, and whether it lay there before."""

    position: Position
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
        calls = _calls(entries)
        with redis_faults():
            try:
                answers = await self._run(calls, entries)
            except redis.exceptions.NoScriptError:
                # The server was restarted and has forgotten the script.
                await self._client.script_load(_APPEND)
                answers = await self._run(calls, entries)
        found: list[Appended | None] = [None] * len(entries)
        for (_, indexes), answer in zip(calls, answers, strict=True):
            for place, index in enumerate(indexes):
                known = Seen.parse(decoded(answer[2 * place]))
                found[index] = Appended(
                    known.position, duplicate=answer[2 * place + 1] == 1, deleted=known.erasure_id is not None
                )
        return [appended for appended in found if appended is not None]

    async def _run(self, calls: "_Calls", entries: Sequence[Entry]) -> list[Any]:
        async with self._client.pipeline(transaction=False) as pipe:
            for (partition, lane), indexes in calls:
                names = [keys.stream(partition, lane)]
                arguments: list[str | bytes | int] = [self._dedup_seconds, f"{partition}.{lane}."]
                for i in indexes:
                    names += [keys.seen(partition, entries[i].key), keys.erased(partition, entries[i].owner_key)]
                    arguments += [entries[i].type, entries[i].data]
                pipe.evalsha(self._append.sha, len(names), *names, *arguments)
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


_Calls = list[tuple[tuple[int, keys.Lane], list[int]]]


def _calls(entries: Sequence[Entry]) -> _Calls:
    """Sort entries into calls of the script: one stream each, and not too many messages."""
    by_stream: defaultdict[tuple[int, keys.Lane], list[int]] = defaultdict(list)
    for index, entry in enumerate(entries):
        by_stream[entry.partition, entry.lane].append(index)
    return [
        (name, indexes[start : start + _SCRIPT_MESSAGES])
        for name, indexes in by_stream.items()
        for start in range(0, len(indexes), _SCRIPT_MESSAGES)
    ]
