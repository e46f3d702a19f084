"""What is left of accepted messages after a primary is lost, by durability and kind of Redis: the table's rows."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from functools import partial
from itertools import count
from pathlib import Path

import pytest
from redis_servers import Server, Servers, cluster_servers, sentinel_servers
from unit.examples import seeded
from waiting import until

from memstream.contracts.messages import MessageIn
from memstream.ingest.appends import Appended
from memstream.ingest.durability import Durability
from memstream.ingest.recorder import NewEntry, Recorder
from memstream.ingest.stream_log import StreamLog
from memstream.runtime.clock import SystemClock
from memstream.runtime.errors import MemstreamError, Unavailable
from memstream.streams.connections import Redis, connect, ping
from memstream.streams.partitioning import PartitionRecord

PARTITIONS = 6
USERS = 12
_numbers = count(1)


class Log:
    """Appends as ingest does."""

    def __init__(self, client: Redis, replicas: int) -> None:
        self.client = client
        self.accepted: list[NewEntry] = []
        self.durability = Durability(client, require_fsync=True, timeout=2.0, replicas=replicas)
        self._log = StreamLog(client, self.durability, PartitionRecord(client, PARTITIONS), dedup_seconds=3600)

    async def is_prepared(self) -> bool:
        """Prepare the streams; say whether the servers took it."""
        with contextlib.suppress(Unavailable):
            await self._log.prepare()
            await self.durability.read_policy()
            return True
        return False

    async def append(self, entries: Sequence[NewEntry]) -> list[Appended]:
        """Append entries; raise if one of them is not accepted."""
        found: list[Appended] = []
        for answer in await self._log.append(entries):
            if isinstance(answer, MemstreamError):
                raise answer
            found.append(answer)
        self.accepted += entries
        return found

    async def append_in_the_end(self) -> None:
        """Append messages of all users, again until they are accepted."""
        entries = messages()
        while True:
            with contextlib.suppress(Unavailable):
                await self.append(entries)
                return
            await asyncio.sleep(0.01)

    async def lost(self) -> list[str]:
        """Name the accepted messages of which Redis knows nothing, once it answers."""

        async def answers() -> bool:
            with contextlib.suppress(Unavailable):
                await ping(self.client)
                return True
            return False

        await until(answers, "Redis answers")
        async with self.client.pipeline(transaction=False) as pipe:
            for entry in self.accepted:
                pipe.exists(entry.seen_key)
            there = await pipe.execute()
        return [entry.message_id for entry, is_there in zip(self.accepted, there, strict=True) if not is_there]


def messages() -> list[NewEntry]:
    """Make a message of each user."""
    recorder = Recorder(PARTITIONS, SystemClock().now, seeded(next(_numbers)))
    return [recorder.record(MessageIn(user_id=f"user-{n}", text="hello"), "acme", "live") for n in range(USERS)]


@contextlib.asynccontextmanager
async def logging_to(servers: Servers, replicas: int) -> AsyncIterator[Log]:
    """Open a log with groups, once writes are accepted."""
    client = connect(servers.url, timeout=2.0)
    log = Log(client, replicas)
    try:
        await until(log.is_prepared, "writes are accepted")
        yield log
    finally:
        await client.aclose()


async def is_promoted(servers: Servers, lost: Server, primaries: int) -> bool:
    """Say whether another server has taken the place of a lost one."""
    found = await servers.primaries()
    return len(found) == primaries and lost not in found


async def test_what_no_replica_has_is_not_accepted_however_often_it_is_sent(tmp_path: Path) -> None:
    async with sentinel_servers(tmp_path) as servers, logging_to(servers, 1) as log:
        await log.append_in_the_end()
        replica = servers.nodes[1]
        replica.pause()
        entries = messages()
        for _ in range(2):
            # The second time, nothing is appended: the message is there already, on one disk.
            with pytest.raises(Unavailable, match="0 of 1 replicas"):
                await log.append(entries)
        replica.go_on()

        again: list[Appended] = []

        async def is_accepted() -> bool:
            with contextlib.suppress(Unavailable):
                again.extend(await log.append(entries))
            return bool(again)

        await until(is_accepted, "it is accepted")
        assert all(one.duplicate for one in again)


async def test_without_a_replica_nothing_is_accepted_and_the_reason_is_told(tmp_path: Path) -> None:
    async with sentinel_servers(tmp_path) as servers, logging_to(servers, 1) as log:
        await servers.nodes[1].kill()

        async def is_told() -> bool:
            try:
                await log.durability.read_policy()
            except Unavailable as error:
                return "0 replicas follow, and 1 must have each write" in str(error)
            return False

        await until(is_told, "the missing replica is told")
        with pytest.raises(Unavailable):
            await log.append(messages())


async def test_too_few_replicas_for_the_server_itself_are_a_fault_that_passes(tmp_path: Path) -> None:
    options = ["min-replicas-to-write 1", "min-replicas-max-lag 1"]
    async with sentinel_servers(tmp_path, options=options) as servers, logging_to(servers, 0) as log:
        await log.append_in_the_end()
        servers.nodes[1].pause()

        async def is_refused() -> bool:
            try:
                await log.append(messages())
            except Unavailable as error:
                return "Not enough good replicas" in str(error)
            return False

        await until(is_refused, "the primary refuses writes")
        servers.nodes[1].go_on()
        await log.append_in_the_end()


async def test_local_loses_what_had_not_reached_the_replica_that_takes_over(tmp_path: Path) -> None:
    async with (
        sentinel_servers(tmp_path) as servers,
        logging_to(servers, 1) as safe_log,
        logging_to(servers, 0) as log,
    ):
        await safe_log.append_in_the_end()
        primary, replica = servers.nodes
        await replica.kill()
        await log.append_in_the_end()
        await primary.kill()
        await replica.start()
        await until(partial(is_promoted, servers, primary, 1), "the replica takes over")

        assert len(await log.lost()) == USERS
        assert await safe_log.lost() == []


@pytest.mark.parametrize("kind", ["sentinel", "cluster"])
@pytest.mark.parametrize("end", ["kill", "pause"])
async def test_replica_loses_nothing_when_a_primary_is_lost_in_the_middle_of_writing(
    tmp_path: Path, kind: str, end: str
) -> None:
    running = sentinel_servers(tmp_path, replicas=1) if kind == "sentinel" else cluster_servers(tmp_path)
    async with running as servers, logging_to(servers, 1) as log:
        primaries = len(await servers.primaries())
        victim = (await servers.primaries())[0]
        stop = asyncio.Event()
        writers = [asyncio.create_task(keep_writing(log, stop)) for _ in range(4)]
        await until(lambda: len(log.accepted) > 20 * USERS, "messages are accepted")
        await victim.kill() if end == "kill" else victim.pause()
        await until(partial(is_promoted, servers, victim, primaries), "the replica takes over")
        await victim.start() if end == "kill" else victim.go_on()
        before = len(log.accepted)
        await until(lambda: len(log.accepted) > before + 20 * USERS, "messages are accepted again")
        stop.set()
        await asyncio.gather(*writers)

        assert await log.lost() == []


async def keep_writing(log: Log, stop: asyncio.Event) -> None:
    """Append until told to stop; what was begun is accepted in the end."""
    while not stop.is_set():
        await log.append_in_the_end()
