"""Batches on their way: a few in flight, each line counted by what became of it."""

import asyncio
from collections.abc import AsyncIterable, Callable
from dataclasses import dataclass, field

from memstream.client._errors import MemstreamClientError, TooLarge
from memstream.client._memory import Memstream
from memstream.client.command.lines import BadLine, Batch, Line
from memstream.contracts.ids import SHARED_USER
from memstream.contracts.keys import Lane
from memstream.contracts.messages import AcceptedLine, RejectedLine

_IN_FLIGHT = 3
_POSITIONS_AT_ONCE = 1000
_WAIT_SECONDS = 10.0


@dataclass(slots=True)
class Tally:
    """What became of the lines so far."""

    keep_positions: bool = False
    accepted: int = 0
    duplicates: int = 0
    rejections: list[BadLine] = field(default_factory=list)
    positions: list[str] = field(default_factory=list)
    """Where accepted messages lie, if they are to be waited for."""
    user_id: str | None = None
    """Somebody whose messages were sent."""

    @property
    def rejected(self) -> int:
        """How many lines were refused."""
        return len(self.rejections)

    @property
    def counts(self) -> str:
        """The counts in words."""
        return f"{self.accepted} accepted, {self.duplicates} duplicate, {self.rejected} rejected"


class Delivery:
    """Posts batches, three at a time, in whatever order they come through."""

    def __init__(
        self,
        memory: Memstream,
        lane: Lane,
        tally: Tally,
        *,
        on_done: Callable[[int, str], None],
        on_rejected: Callable[[BadLine], None],
    ) -> None:
        self._memory = memory
        self._lane = lane
        self._tally = tally
        self._on_done = on_done
        self._on_rejected = on_rejected

    async def deliver(self, batches: AsyncIterable[Batch]) -> None:
        """Post all of them.

        Raises:
            MemstreamClientError: a batch failed for good; those still under way were given up.

        """
        room = asyncio.Semaphore(_IN_FLIGHT)

        async def post(batch: Batch) -> None:
            try:
                await self._post(batch.lines)
            finally:
                room.release()
            self._on_done(batch.span, self._tally.counts)

        try:
            async with asyncio.TaskGroup() as group:
                async for batch in batches:
                    for bad in batch.bad:
                        self._reject(bad)
                    await room.acquire()
                    group.create_task(post(batch))
        except ExceptionGroup as group:
            failures = group.subgroup(MemstreamClientError)
            if failures is None:
                raise
            # The first one is told; the others are most likely the same.
            raise failures.exceptions[0] from None

    async def _post(self, lines: list[Line]) -> None:
        if not lines:
            return
        try:
            answer = await self._memory.send_ndjson(b"\n".join(line.content for line in lines), lane=self._lane)
        except TooLarge as error:
            # This installation's limits are lower than the default ones.
            if len(lines) == 1:
                self._reject(BadLine(lines[0].number, "too-large", str(error)))
                return
            half = len(lines) // 2
            await self._post(lines[:half])
            await self._post(lines[half:])
            return
        for result in answer.results:
            self._count(lines[result.index], result)

    def _count(self, line: Line, result: AcceptedLine | RejectedLine) -> None:
        if isinstance(result, RejectedLine):
            self._reject(BadLine(line.number, result.error.code, result.error.message))
            return
        if result.duplicate:
            self._tally.duplicates += 1
        else:
            self._tally.accepted += 1
        if self._tally.keep_positions:
            self._tally.positions.append(result.position)
            self._tally.user_id = self._tally.user_id or line.user_id

    def _reject(self, bad: BadLine) -> None:
        self._tally.rejections.append(bad)
        self._on_rejected(bad)


async def until_searchable(memory: Memstream, tally: Tally, on_left: Callable[[int], None]) -> None:
    """Come back when the embedder is done with every message of a tally."""
    left = list(dict.fromkeys(tally.positions))
    while left and tally.user_id is not None:
        on_left(len(left))
        asked = left[-_POSITIONS_AT_ONCE:]
        # Words alone, so that the wait needs no embedding of its own.
        answer = await memory.search(
            _asker(tally.user_id), "searchable", mode="keyword", limit=1, wait_for=asked, wait_timeout=_WAIT_SECONDS
        )
        left[-_POSITIONS_AT_ONCE:] = answer.pending


def _asker(user_id: str) -> str:
    # Nobody asks as all users, and whoever asks may wait for any position.
    return "anybody" if user_id == SHARED_USER else user_id
