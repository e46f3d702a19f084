"""How many partitions an installation has and had: where what is known of a user lies, once their number was raised."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import redis.exceptions

from memstream.contracts import keys
from memstream.runtime.errors import ConfigurationError
from memstream.streams.connections import Redis, decoded, ping, redis_faults
from memstream.streams.scripts import Script, Scripts


@dataclass(frozen=True, slots=True)
class Partitioning:
    """The numbers of partitions that an installation has had, the present one last.

    Each is a multiple of the one before. So a user's former partitions follow from the present one, and a user who has
    left a partition never comes back to it.
    """

    counts: tuple[int, ...]

    def __str__(self) -> str:
        """Return it as it is stored in Redis."""
        return " ".join(map(str, self.counts))

    @classmethod
    def parse(cls, text: str) -> "Partitioning":
        """Parse what `str` returned."""
        return cls(tuple(map(int, text.split())))

    @property
    def partitions(self) -> int:
        """The present number."""
        return self.counts[-1]

    @property
    def has_grown(self) -> bool:
        """Whether users may have been in other partitions before."""
        return len(self.counts) > 1

    def former(self, partition: int) -> tuple[int, ...]:
        """Return the partitions that the users of this one were in before they moved here, the last one first."""
        found = dict.fromkeys(partition % count for count in reversed(self.counts[:-1]))
        return tuple(one for one in found if one != partition)

    def with_partitions(self, partitions: int) -> "Partitioning":
        """Return what it is with this number of partitions.

        Raises:
            ConfigurationError: it is smaller, or not a multiple.

        """
        present = self.partitions
        if partitions < present:
            raise ConfigurationError(f"PARTITIONS is {partitions}, and this installation has {present}: set {present}")
        if partitions % present:
            raise ConfigurationError(
                f"PARTITIONS is {partitions}, and this installation has {present}: set that, or a multiple of it"
            )
        return self if partitions == present else Partitioning((*self.counts, partitions))


class _RecordKeys(NamedTuple):
    """Where a partition keeps the numbers of partitions."""

    record: str


@dataclass(frozen=True, slots=True)
class _RecordArguments:
    """The numbers, as they are stored."""

    partitioning: str


# Notes the numbers of partitions, unless others are noted that do not begin them. Answers with what is noted then.
_RECORD: Script[_RecordKeys, _RecordArguments, Partitioning] = Script(
    """
local noted, given = redis.call('GET', KEYS[1]), arguments.partitioning
if noted and (given .. ' '):sub(1, #noted + 1) ~= noted .. ' ' then return noted end
redis.call('SET', KEYS[1], given)
return given
""",
    lambda answer: Partitioning.parse(decoded(answer)),
)


class _LastKeys(NamedTuple):
    """Where a partition keeps the id of its last entry."""

    last: str


@dataclass(frozen=True, slots=True)
class _LastArguments:
    """An entry's id; two numbers, since Lua compares no longer ones."""

    ms: int
    seq: int


# Makes all entries that are appended from now on later than this one.
_RAISE_LAST: Script[_LastKeys, _LastArguments, bool] = Script(
    """
local ms, seq = (redis.call('GET', KEYS[1]) or '-1-0'):match('^(%-?%d+)-(%d+)$')
ms, seq = tonumber(ms), tonumber(seq)
if ms > arguments.ms or ms == arguments.ms and seq >= arguments.seq then return 0 end
redis.call('SET', KEYS[1], string.format('%.0f-%.0f', arguments.ms, arguments.seq))
return 1
""",
    bool,
)


class PartitionRecord:
    """What Redis says of the number of partitions, and what this process was told. Both have to agree."""

    def __init__(self, client: Redis, partitions: int) -> None:
        self._client = client
        self._scripts = Scripts(client)
        self._partitions = partitions
        self.partitioning = Partitioning((partitions,))
        """As it was when it was last settled."""

    async def settle(self) -> None:
        """Record this process's number of partitions; if it is new, raise the installation's.

        Then every partition refuses appends by processes that have another number (see `open_stream`), and entries of
        the new partitions have later ids than all before. Cut off in between, the next process to start completes it.

        Raises:
            ConfigurationError: the installation has more partitions, or a number that this one is no multiple of.
            Unavailable: Redis cannot be reached.

        """
        settled = None
        while settled is None or settled.partitions != self._partitions:
            found = settled or await self._find()
            (settled,) = await self._record(found.with_partitions(self._partitions), [0])
        await self._record(settled, range(1, settled.partitions))
        if settled.has_grown:
            await self._follow(settled)
        self.partitioning = settled

    async def note(self) -> None:
        """Record how many partitions there are, if nothing is recorded yet: to be called before streams are created.

        Raises:
            ConfigurationError, Unavailable: as in `check`.

        """
        (noted,) = await self._record(await self._find(), [0])
        noted.with_partitions(self._partitions)

    async def check(self) -> None:
        """Raise unless this process has as many partitions as the installation, or is about to raise their number.

        Raises:
            ConfigurationError: it has fewer, or a number that can't be reached.
            Unavailable: Redis cannot be reached.

        """
        found = await self._read()
        if found is not None:
            found.with_partitions(self._partitions)

    async def read(self) -> Partitioning:
        """Return what is recorded; without a record, this process's number.

        Raises:
            Unavailable: Redis cannot be reached.

        """
        return await self._read() or Partitioning((self._partitions,))

    async def _read(self) -> Partitioning | None:
        with redis_faults():
            found = await self._client.get(keys.partitioning(0))
        return None if found is None else Partitioning.parse(decoded(found))

    async def _find(self) -> Partitioning:
        return await self._read() or Partitioning((await self._streams() or self._partitions,))

    async def _streams(self) -> int:
        """Return how many partitions have streams: what a release that recorded nothing was told."""
        with redis_faults():
            async with self._client.pipeline(transaction=False) as pipe:
                for partition in range(keys.MAX_PARTITIONS):
                    pipe.exists(keys.stream(partition, "live"))
                found = await pipe.execute()
        return max((partition + 1 for partition, exists in enumerate(found) if exists), default=0)

    async def _record(self, partitioning: Partitioning, partitions: Sequence[int]) -> list[Partitioning]:
        arguments = _RecordArguments(str(partitioning))
        return await self._scripts.run_all(
            [_RECORD.call(_RecordKeys(keys.partitioning(one)), arguments) for one in partitions]
        )

    async def _follow(self, partitioning: Partitioning) -> None:
        """Have what is appended from now on follow, in the order of ids, what was appended under fewer partitions."""
        latest = 0, 0
        for partition in range(partitioning.counts[-2]):
            latest = max(latest, await self._last(partition))
        raised = _LastArguments(*latest)
        await self._scripts.run_all(
            [
                _RAISE_LAST.call(_LastKeys(keys.last_entry(partition)), raised)
                for partition in range(partitioning.partitions)
            ]
        )

    async def _last(self, partition: int) -> tuple[int, int]:
        with redis_faults():
            noted = await self._client.get(keys.last_entry(partition))
            found = [keys.entry_order(decoded(noted))] if noted is not None else [(0, 0)]
            for lane in keys.LANES:
                try:
                    info = await self._client.xinfo_stream(keys.stream(partition, lane))
                except redis.exceptions.ResponseError as error:
                    if "no such key" not in str(error):
                        raise
                else:
                    found.append(keys.entry_order(decoded(info["last-generated-id"])))
        return max(found)


async def check_redis(client: Redis, record: PartitionRecord) -> None:
    """Raise unless Redis answers, and has as many partitions as this process was told.

    Raises:
        ConfigurationError, Unavailable: it does not.

    """
    await ping(client)
    await record.check()
