"""The uploader of `memstream send`: a few batches in flight, and a summary of what was accepted and rejected."""

import asyncio
from collections.abc import AsyncIterable, Callable
from dataclasses import dataclass, field

from memstream.client._errors import MemstreamClientError, TooLarge
from memstream.client._memory import Memstream
from memstream.client.command.jsonl import Batch, Line, Rejection
from memstream.contracts.ids import SHARED_USER
from memstream.contracts.keys import Lane
from memstream.contracts.messages import AcceptedLine, RejectedLine

_BATCHES_IN_FLIGHT = 3
_POSITIONS_PER_SEARCH = 1000
_WAIT_SECONDS = 10.0


@dataclass(slots=True)
class UploadSummary:
    """How many lines were accepted and rejected so far."""

    keep_positions: bool = False
    accepted: int = 0
    duplicates: int = 0
    rejections: list[Rejection] = field(default_factory=list)
    positions: list[str] = field(default_factory=list)
    """Positions of the accepted messages, if `keep_positions`."""
    user_id: str | None = None
    """A user whose messages were accepted, if `keep_positions`."""

    @property
    def rejected(self) -> int:
        """How many lines were rejected."""
        return len(self.rejections)

    @property
    def counts(self) -> str:
        """The counts, as text."""
        return f"{self.accepted} accepted, {self.duplicates} duplicate, {self.rejected} rejected"


class Uploader:
    """Sends batches, three at a time; they may arrive in any order.

    `on_done` gets the bytes of the file that are done and the counts so far, `on_rejected` each rejected line.
    """

    def __init__(
        self,
        memory: Memstream,
        lane: Lane,
        summary: UploadSummary,
        *,
        on_done: Callable[[int, str], None],
        on_rejected: Callable[[Rejection], None],
    ) -> None:
        self._memory = memory
        self._lane = lane
        self._summary = summary
        self._on_done = on_done
        self._on_rejected = on_rejected

    async def upload(self, batches: AsyncIterable[Batch]) -> None:
        """Send all batches.

        Raises:
            MemstreamClientError: a batch failed permanently; those in flight were cancelled.

        """
        permits = asyncio.Semaphore(_BATCHES_IN_FLIGHT)

        async def send(batch: Batch) -> None:
            try:
                await self._send(batch.lines)
            finally:
                permits.release()
            self._on_done(batch.file_bytes, self._summary.counts)

        try:
            async with asyncio.TaskGroup() as group:
                async for batch in batches:
                    for rejection in batch.rejections:
                        self._reject(rejection)
                    await permits.acquire()
                    group.create_task(send(batch))
        except ExceptionGroup as group:
            failures = group.subgroup(MemstreamClientError)
            if failures is None:
                raise
            # The others most likely have the same cause.
            raise failures.exceptions[0] from None

    async def _send(self, lines: list[Line]) -> None:
        if not lines:
            return
        try:
            answer = await self._memory.send_ndjson(b"\n".join(line.content for line in lines), lane=self._lane)
        except TooLarge as error:
            # The limits of this server are lower than the defaults.
            if len(lines) == 1:
                self._reject(Rejection(lines[0].number, "too-large", str(error)))
                return
            half = len(lines) // 2
            await self._send(lines[:half])
            await self._send(lines[half:])
            return
        for result in answer.results:
            self._count(lines[result.index], result)

    def _count(self, line: Line, result: AcceptedLine | RejectedLine) -> None:
        if isinstance(result, RejectedLine):
            self._reject(Rejection(line.number, result.error.code, result.error.message))
            return
        if result.duplicate:
            self._summary.duplicates += 1
        else:
            self._summary.accepted += 1
        if self._summary.keep_positions:
            self._summary.positions.append(result.position)
            self._summary.user_id = self._summary.user_id or line.user_id

    def _reject(self, rejection: Rejection) -> None:
        self._summary.rejections.append(rejection)
        self._on_rejected(rejection)


async def wait_until_searchable(memory: Memstream, summary: UploadSummary, on_left: Callable[[int], None]) -> None:
    """Return when every accepted message is searchable; `on_left` gets the number of those that are not yet."""
    left = list(dict.fromkeys(summary.positions))
    while left and summary.user_id is not None:
        on_left(len(left))
        positions = left[-_POSITIONS_PER_SEARCH:]
        # By words only, so that waiting costs no embedding.
        answer = await memory.search(
            _searcher(summary.user_id),
            "searchable",
            mode="keyword",
            limit=1,
            wait_for=positions,
            wait_timeout=_WAIT_SECONDS,
        )
        left[-_POSITIONS_PER_SEARCH:] = answer.pending


def _searcher(user_id: str) -> str:
    # A search names a single user, and that user may wait for any position.
    return "anybody" if user_id == SHARED_USER else user_id
