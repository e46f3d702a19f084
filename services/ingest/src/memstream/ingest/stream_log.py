"""The streams in Redis, as ingest writes and asks them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import redis.exceptions

from memstream.contracts import keys
from memstream.contracts.keys import Position, Seen
from memstream.contracts.messages import MessageStatus
from memstream.ingest.admission import Reading
from memstream.ingest.append_script import APPEND, Appended, Call, calls
from memstream.ingest.durability import Durability
from memstream.ingest.recording import Entry
from memstream.streams import groups
from memstream.streams.backlog import backlog
from memstream.streams.connections import Redis, decoded, redis_faults


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
        self._append = client.register_script(APPEND)

    async def prepare(self, partitions: int) -> None:
        """Create the groups.

        Raises:
            Unavailable: Redis is out of reach.

        """
        await groups.create_groups(self._client, partitions)

    async def append(self, entries: Sequence[Entry]) -> list[Appended]:
        """Append entries in one round trip; each is on disk when this returns. In the order given.

        Raises:
            Unavailable: Redis is out of reach, or was not on disk in time. Some may have been appended;
                appending them again adds nothing.

        """
        made = calls(entries)
        with redis_faults():
            try:
                answers = await self._run(made, entries)
            except redis.exceptions.NoScriptError:
                # The server was restarted and has forgotten the script.
                await self._client.script_load(APPEND)
                answers = await self._run(made, entries)
        found: dict[int, Appended] = {}
        for call, answer in zip(made, answers, strict=True):
            found.update(zip(call.indexes, call.read(decoded(answer)), strict=True))
        return [found[index] for index in range(len(entries))]

    async def _run(self, made: Sequence[Call], entries: Sequence[Entry]) -> list[Any]:
        async with self._client.pipeline(transaction=False) as pipe:
            for call in made:
                names, arguments = call.parameters(entries, self._dedup_seconds)
                pipe.evalsha(self._append.sha, len(names), *names, *arguments)
            return await self._durability.execute(pipe)

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
        (done,) = await groups.are_done(self._client, [position])
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
        waiting = 0
        with redis_faults():
            for partition in range(partitions):
                for lane in keys.LANES:
                    waiting += await backlog(self._client, keys.stream(partition, lane))
            memory = await self._client.info("memory")
        limit = int(memory.get("maxmemory") or 0)
        return Reading(backlog=waiting, memory=int(memory["used_memory"]) / limit if limit else 0.0)


def _was_before(mark: object, position: Position) -> bool:
    return keys.was_before(decoded(mark), position.lane, position.entry_id)
