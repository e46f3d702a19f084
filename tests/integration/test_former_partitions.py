"""Dead letters of users who have moved to another partition since."""

from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest
from integration.worksite import Worksite

from memstream.contracts import ids, keys
from memstream.contracts.dead_letters import LetterName
from memstream.contracts.keys import Position
from memstream.contracts.messages import MessageIn
from memstream.ingest.appends import Appended
from memstream.ingest.dead_letters import DeadLetters
from memstream.ingest.durability import Durability
from memstream.ingest.erasures import ErasureRequest, Erasures
from memstream.ingest.recorder import Recorder
from memstream.ingest.stream_log import StreamLog
from memstream.streams.connections import Redis, decoded
from memstream.streams.dead_letter_scripts import DEAD_LETTER, DeadLetterArguments, DeadLetterKeys
from memstream.streams.partitioning import PartitionRecord
from memstream.streams.scripts import Scripts

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PARTITIONS = 4
USER = next(user for user in map("user-{}".format, range(20)) if ids.partition("acme", user, PARTITIONS))
"""Leaves the first partition when there are four."""


class Ingest:
    """What ingest does, told of so many partitions."""

    def __init__(self, client: Redis, partitions: int) -> None:
        durability = Durability(client, require_fsync=False, timeout=5)
        record = PartitionRecord(client, partitions)
        self._recorder = Recorder(partitions, lambda: NOW, Random(1))  # noqa: S311 - ids of a test
        self.log = StreamLog(client, durability, record, dedup_seconds=600)
        self.erasures = Erasures(client, durability, record, lifetime=600)
        self.letters = DeadLetters(client, durability, record, dedup_seconds=600)

    async def post(self, message_id: str, *, replaces: bool = False) -> Position:
        """Append a message; return its position."""
        message = MessageIn(user_id=USER, message_id=message_id, text="the lamp")
        (appended,) = await self.log.append([self._recorder.record(message, "acme", "live", replaces=replaces)])
        assert isinstance(appended, Appended)
        assert not appended.duplicate
        return Position.parse(appended.position)


async def bury(client: Redis, position: Position) -> LetterName:
    """Make a dead letter of a message, as a worker does; return its name."""
    await client.xreadgroup(keys.GROUP, "worker", {position.stream: ">"})
    entries: Any = await client.xrange(position.stream, position.entry_id, position.entry_id)
    ((_, fields),) = entries
    owner, partition = ids.owner_key("acme", USER), position.partition
    names = DeadLetterKeys(
        position.stream,
        keys.dead_letters(partition),
        keys.letters(partition),
        keys.letters_of(partition, owner),
        keys.seen(partition, ids.message_key("acme", USER, "a")),
        keys.erased(partition, owner),
    )
    letter = ["stream", position.stream, "entry_id", position.entry_id]
    letter += [part for name, value in fields.items() for part in (f"original:{decoded(name)}", decoded(value))]
    arguments = DeadLetterArguments(keys.GROUP, position.entry_id, str(position))
    assert await Scripts(client).run(DEAD_LETTER.call(names, arguments, letter))
    letters: Any = await client.xrange(keys.dead_letters(partition))
    ((letter_id, _),) = letters
    return LetterName(partition, decoded(letter_id))


async def moved(client: Redis) -> tuple[Ingest, LetterName]:
    """Let a message become a dead letter, and its user move; return ingest as it is then, and the letter."""
    before, after = Ingest(client, 1), Ingest(client, PARTITIONS)
    await before.log.prepare()
    letter = await bury(client, await before.post("a"))
    await after.log.prepare()
    return after, letter


@pytest.mark.parametrize("message_id", ["a", None])
async def test_it_goes_with_the_deletion_of_its_message_and_with_its_users_erasure(
    site: Worksite, message_id: str | None
) -> None:
    ingest, _ = await moved(site.redis)

    # It was seen, if not in the partition where the user is now.
    request = ErasureRequest("acme", USER, message_id, NOW)
    erasure_id = await ingest.erasures.request(request, "e-1", takes_unseen=False)

    assert erasure_id is not None
    assert await site.redis.xlen(keys.dead_letters(0)) == 0
    receipt = await ingest.erasures.receipt(erasure_id, "acme")
    assert receipt is not None
    assert receipt.dead_letters == 1


async def test_it_is_dropped_if_its_message_was_posted_anew_where_the_user_is_now(site: Worksite) -> None:
    ingest, letter = await moved(site.redis)
    assert (await ingest.post("a", replaces=True)).partition != letter.partition

    (result,) = await ingest.letters.replay([letter])

    assert result.outcome == "dropped"
    assert await site.redis.xlen(keys.stream(0, "live")) == 1
    assert await site.redis.xlen(keys.dead_letters(0)) == 0


async def test_it_is_replayed_if_nothing_was_posted_since(site: Worksite) -> None:
    ingest, letter = await moved(site.redis)

    (result,) = await ingest.letters.replay([letter])

    assert result.outcome == "replayed"
    assert await site.redis.xlen(keys.stream(0, "live")) == 2
