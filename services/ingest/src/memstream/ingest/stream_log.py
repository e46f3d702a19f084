"""The streams in Redis: messages are appended and looked up, and the backlog is read."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from memstream.contracts import keys
from memstream.contracts.keys import Position, Seen
from memstream.contracts.messages import MessageStatus
from memstream.ingest.admission import Reading
from memstream.ingest.appends import Appended, appends
from memstream.ingest.durability import Durability
from memstream.ingest.recorder import NewEntry
from memstream.runtime.errors import MemstreamError
from memstream.streams import groups
from memstream.streams.backlog import backlog
from memstream.streams.connections import Redis, decoded, primaries, redis_faults
from memstream.streams.partitioning import PartitionRecord
from memstream.streams.quota_scripts import NOTE_EXPIRY, ExpiryArguments, ExpiryKeys
from memstream.streams.scripts import ScriptCall, Scripts


@dataclass(frozen=True, slots=True)
class MessageOutcome:
    """The position of a message and what became of it."""

    position: Position
    state: MessageStatus
    reason: str | None = None
    expires_at: datetime | None = None

    def state_at(self, now: datetime) -> MessageStatus:
        """Return the state by a clock: what is on its way or stored may have expired."""
        if self.expires_at is not None and self.expires_at <= now and self.state in ("queued", "stored"):
            return "expired"
        return self.state


class StreamLog:
    """Appends messages durably, each once, and looks up what became of them."""

    def __init__(self, client: Redis, durability: Durability, record: PartitionRecord, *, dedup_seconds: int) -> None:
        self._client = client
        self._scripts = Scripts(client, durability.execute)
        self._record = record
        self._dedup_seconds = dedup_seconds

    async def prepare(self) -> None:
        """Record how many partitions there are, and create their groups.

        Raises:
            ConfigurationError: the installation has another number of partitions, which can't be raised to this one.
            Unavailable: Redis cannot be reached.

        """
        await self._record.settle()
        await groups.create_groups(self._client, self._record.partitioning.partitions)

    async def append(self, entries: Sequence[NewEntry]) -> list[Appended | MemstreamError]:
        """Append entries in one round trip, and return their positions in order once all are durable.

        Where a node of a cluster fails, or a slot is on its way to another one, its entries have the reason in their
        place. They may have been appended.

        Raises:
            Unavailable: Redis cannot be reached, or the disk was not written in time. Some entries may have been
                appended; appending them again adds nothing.

        """
        if not self._record.partitioning.has_grown:
            return await self._append(entries)
        found = await self._find_former(entries)
        left = [index for index in range(len(entries)) if index not in found]
        if left:
            found.update(zip(left, await self._append([entries[index] for index in left]), strict=True))
        return [found[index] for index in range(len(entries))]

    async def _find_former(self, entries: Sequence[NewEntry]) -> dict[int, Appended | MemstreamError]:
        """Return by index those that need not be appended, since they were when their users were elsewhere.

        Where that can't be found out, the reason stands in their place.
        """
        by_partition: defaultdict[int, list[int]] = defaultdict(list)
        for index, entry in enumerate(entries):
            for former in self._record.partitioning.former(entry.partition):
                by_partition[former].append(index)
        found: dict[int, Appended | MemstreamError] = {}
        for partition, indexes in by_partition.items():
            names = [name for index in indexes for name in _former_names(entries[index], partition)]
            try:
                with redis_faults():
                    values = await self._client.mget(names)
            except MemstreamError as error:
                for index in indexes:
                    found.setdefault(index, error)
                continue
            for index, seen, erased in zip(indexes, values[::2], values[1::2], strict=True):
                known = None if seen is None else Seen.parse(decoded(seen))
                if known is None or (erased is not None and _was_before(erased, known.position)):
                    continue
                if known.erasure_id is not None or not entries[index].replaces:
                    found[index] = Appended.before(known)
        return found

    async def _append(self, entries: Sequence[NewEntry]) -> list[Appended | MemstreamError]:
        made = appends(entries)
        expiries = {
            index: NOTE_EXPIRY.call(
                ExpiryKeys(entry.expiry[0]), ExpiryArguments(entry.expiry[1], self._dedup_seconds, entry.replaces)
            )
            for index, entry in enumerate(entries)
            if entry.expiry is not None
        }
        calls: list[ScriptCall[Any]] = [append.call(entries, self._dedup_seconds, self._partitions) for append in made]
        answers = await self._scripts.run_each([*calls, *expiries.values()])
        found: dict[int, Appended | MemstreamError] = {}
        for append, answer in zip(made, answers[: len(made)], strict=True):
            if isinstance(answer, MemstreamError):
                found |= dict.fromkeys(append.indexes, answer)
            else:
                found.update(zip(append.indexes, append.read(answer), strict=True))
        for index, answer in zip(expiries, answers[len(made) :], strict=True):
            if isinstance(answer, MemstreamError):
                found[index] = answer
        return [found[index] for index in range(len(entries))]

    @property
    def _partitions(self) -> int:
        return self._record.partitioning.partitions

    async def look_up(self, partition: int, message: UUID, owner: UUID) -> MessageOutcome | None:
        """Return what became of a message; None if it was not seen within the dedup window.

        Raises:
            Unavailable: Redis cannot be reached, or the group is missing.

        """
        for each in (partition, *self._record.partitioning.former(partition)):
            outcome = await self._look_up(each, message, owner)
            if outcome is not None:
                return outcome
        return None

    async def _look_up(self, partition: int, message: UUID, owner: UUID) -> MessageOutcome | None:
        names = [
            keys.seen(partition, message),
            keys.erased(partition, owner),
            keys.expiry_by_hex(partition, message.hex),
        ]
        with redis_faults():
            first = await self._client.get(names[0])
        if first is None:
            return None
        position = Seen.parse(decoded(first)).position
        (done,) = await groups.are_done(self._client, [position])
        with redis_faults():
            # Read again after the question above: a dead message is noted in the same step that acknowledges it.
            seen, erased, ends_at = await self._client.mget(names)
            last = Seen.parse(decoded(seen or first))
            if last.erasure_id or (erased is not None and _was_before(erased, last.position)):
                return MessageOutcome(last.position, "deleted")
            if last.dead_entry_id is None:
                expires_at = None if ends_at is None else datetime.fromisoformat(decoded(ends_at))
                return MessageOutcome(position, "stored" if done else "queued", expires_at=expires_at)
            letters = await self._client.xrange(keys.dead_letters(partition), last.dead_entry_id, last.dead_entry_id)
        fields: Any = letters[0][1] if letters else {}
        # An operator may have dropped the dead letter, and its reason with it.
        reason = fields.get(b"reason")
        return MessageOutcome(position, "dead", None if reason is None else decoded(reason))

    async def read_pressure(self) -> Reading:
        """Read how many messages wait to be embedded, and how full Redis is: of several servers, the fullest.

        Raises:
            ConfigurationError: the number of partitions was raised by another process.
            Unavailable: Redis cannot be reached, or a group is missing.

        """
        await self._record.check()
        waiting = 0
        with redis_faults():
            for partition in range(self._partitions):
                for lane in keys.LANES:
                    waiting += await backlog(self._client, keys.stream(partition, lane))
            memory = [await server.info("memory") for server in await primaries(self._client)]
        return Reading(backlog=waiting, memory=max(map(_share, memory)))


def _share(memory: Mapping[str, Any]) -> float:
    limit = int(memory.get("maxmemory") or 0)
    return int(memory["used_memory"]) / limit if limit else 0.0


def _former_names(entry: NewEntry, partition: int) -> tuple[str, str]:
    """Return the seen-key and the erased-key that a message and its user had in a former partition."""
    message, owner = (name.rpartition(":")[2] for name in (entry.seen_key, entry.erased_key))
    return keys.seen_by_hex(partition, message), keys.erased_by_hex(partition, owner)


def _was_before(mark: object, position: Position) -> bool:
    return keys.was_before(decoded(mark), position.entry_id)
