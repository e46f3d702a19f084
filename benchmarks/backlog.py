"""Generated messages, appended to the stream at once, and the embedder's progress with them."""

import asyncio
import math
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any

from benchmarks.command import say
from benchmarks.site import Failed, Site
from memstream.contracts import keys
from memstream.contracts.events import MessageRecorded
from memstream.contracts.keys import Lane
from memstream.streams.groups import create_groups
from memstream.vectors.space import render

_PIPELINED = 1000
_TOLD_EVERY = 100_000
_FED_EVERY = 0.05
_BYTES_PER_TOKEN = 4
_DAY = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
_WORDS = (
    *("parcel", "bicycle", "pump", "neighbours", "second", "floor", "caretaker", "morning", "bring", "after", "work"),
    *("unless", "rain", "keeps", "town", "where", "meeting", "about", "garden", "takes", "longer", "than", "planned"),
)


@dataclass(frozen=True, slots=True)
class Messages:
    """Generated messages by number: all different, of equal size, the same in every run with this seed."""

    seed: int
    size: int = 120
    """Bytes of a text."""
    users: int = 1000

    def text(self, number: int) -> str:
        """Return a message's text; it starts with a word that no other text has."""
        chance = Random(self.seed << 32 | number)  # noqa: S311 - nothing secret is made from it
        words = f"note{number:08d} " + " ".join(chance.choices(_WORDS, k=self.size // 4))
        return words[: self.size].ljust(self.size, ".")

    def user(self, number: int) -> str:
        """Return the id of its user."""
        return f"user-{number % self.users}"

    def event(self, number: int) -> MessageRecorded:
        """Return a message as it is in the stream."""
        return MessageRecorded(
            tenant="local",
            user_id=self.user(number),
            message_id=f"m-{number}",
            text=self.text(number),
            occurred_at=_DAY,
            recorded_at=_DAY,
        )

    @property
    def tokens(self) -> int:
        """Tokens that the simulated provider counts for one message."""
        text = render(self.text(0), speaker=None, role="user", occurred_at=_DAY)
        return 1 + len(text.encode()) // _BYTES_PER_TOKEN


async def fill(site: Site, messages: Messages, count: int, lane: Lane) -> None:
    """Append messages to the stream as ingest would, before it is read."""
    await create_groups(site.redis, 1)
    for start in range(0, count, _PIPELINED):
        await append(site, messages, range(start, min(count, start + _PIPELINED)), lane)
        if start and start % _TOLD_EVERY == 0:
            say(f"  {start:,} messages in the stream")


async def append(site: Site, messages: Messages, numbers: range, lane: Lane) -> None:
    """Append messages to a stream whose group is there."""
    async with site.redis.pipeline(transaction=False) as pipe:
        for number in numbers:
            event = messages.event(number)
            pipe.xadd(keys.stream(0, lane), {keys.TYPE_FIELD: event.type, keys.DATA_FIELD: event.model_dump_json()})
        await pipe.execute()


async def feed(site: Site, messages: Messages, per_second: float, lane: Lane) -> None:
    """Append messages at a rate, until cancelled."""
    sent, started, ticks = 0, time.perf_counter(), Ticks(_FED_EVERY)
    while True:
        await ticks.wait()
        due = int((time.perf_counter() - started) * per_second)
        await append(site, messages, range(sent, due), lane)
        sent = due


@dataclass(frozen=True, slots=True)
class Progress:
    """The embedder's progress in a lane, at a time of the loop's clock."""

    at: float
    acknowledged: int
    left: int
    """Messages that are not acknowledged, read or not."""
    entries: int
    """Length of the stream."""


async def progress(site: Site, lane: Lane) -> Progress:
    """Read the progress from Redis."""
    stream = keys.stream(0, lane)
    async with site.redis.pipeline(transaction=True) as pipe:
        pipe.xinfo_groups(stream)
        pipe.xlen(stream)
        groups, entries = await pipe.execute()
    at = time.perf_counter()
    group: dict[str, Any] = next(group for group in groups if group["name"] == keys.GROUP.encode())
    if group["entries-read"] is None or group["lag"] is None:
        raise Failed(f"the server doesn't know the consumer group's progress in {stream}")
    return Progress(at, group["entries-read"] - group["pending"], group["lag"] + group["pending"], entries)


async def letters(site: Site) -> int:
    """Count the dead letters."""
    return int(await site.redis.xlen(keys.dead_letters(0)))


@dataclass(slots=True)
class Ticks:
    """Ticks at a fixed interval, however long the work between them takes."""

    period: float
    _next: float = -math.inf

    async def wait(self) -> None:
        """Wait for the next tick."""
        now = time.perf_counter()
        self._next = max(now, self._next + self.period)
        await asyncio.sleep(self._next - now)
