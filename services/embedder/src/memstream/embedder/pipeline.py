"""Decode, batch, embed, store, acknowledge: each entry goes through here once."""

import asyncio
import contextlib
import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from memstream.contracts.keys import LANES, Lane
from memstream.embedder.batch_processor import BatchProcessor
from memstream.embedder.batching import Batcher
from memstream.embedder.breaker import DeadLetterGate
from memstream.embedder.bulk_throttle import BulkThrottle
from memstream.embedder.concurrency import ConcurrencyController
from memstream.embedder.deletion_queue import DeletionQueue
from memstream.embedder.held_entries import HeldEntries
from memstream.embedder.jobs import Dead, DeletionRequest, Delivery, EmbeddingJob, Outcome, Pending, Settled
from memstream.embedder.lane_scheduler import LaneScheduler
from memstream.embedder.outcomes import Outcomes
from memstream.runtime.clock import Clock
from memstream.runtime.health import Pulse

_log = logging.getLogger(__name__)

_IDLE_SECONDS = 1.0
"""How often an idle loop shows that it is alive."""

_ENTRIES_PER_TURN = 16
"""Entries prepared before other tasks get a turn."""

_DELETIONS_SHARE = 0.5
"""Of the room, for requests to delete. When that is full, their stream is read no further, but the others are."""


@dataclass(frozen=True, slots=True)
class Stages:
    """What an entry may go through on its way to its outcome."""

    prepare: Callable[[Delivery], EmbeddingJob | DeletionRequest | Settled]
    batcher: Batcher
    storing: BatchProcessor
    delete: Callable[[Sequence[DeletionRequest]], Awaitable[list[Outcome]]]
    """Carries out requests of one owner, in order."""
    dead_letters: DeadLetterGate
    outcomes: Outcomes


class Pipeline:
    """Takes entries while there is room, and brings each to its outcome."""

    def __init__(
        self, stages: Stages, held_entries: HeldEntries, concurrency: ConcurrencyController, clock: Clock, pulse: Pulse
    ) -> None:
        self._stages = stages
        self._held_entries = held_entries
        self._concurrency = concurrency
        self._clock = clock
        self._pulse = pulse
        self._scheduler = LaneScheduler(BulkThrottle(concurrency.maximum))
        self._deletions = DeletionQueue(self._delete, capacity=int(_DELETIONS_SHARE * held_entries.messages_limit))
        self._changed = asyncio.Event()

    async def offer(self, deliveries: Sequence[Delivery]) -> None:
        """Take entries up, as soon as there is room. Not returning is the backpressure: nothing more is read.

        Entries that are in progress already are skipped. Once closed, entries are left waiting.
        """
        fresh = self._held_entries.announce(deliveries)
        try:
            for number, delivery in enumerate(fresh, 1):
                if number % _ENTRIES_PER_TURN == 0:
                    await asyncio.sleep(0)
                if not await self._held_entries.admit(delivery):
                    return
                try:
                    await self._queue(delivery)
                except asyncio.CancelledError:
                    # Nobody works on it any more, so it must not keep its lease: it comes back when that ends.
                    if not self._held_entries.is_closed:
                        self._held_entries.release(delivery)
                    raise
        finally:
            self._held_entries.withdraw(fresh)

    async def _queue(self, delivery: Delivery) -> None:
        try:
            prepared = self._stages.prepare(delivery)
        except Exception as error:  # noqa: BLE001 - the border of what is known; the entry comes back, alone
            _log.exception("can't prepare %s %s", delivery.stream, delivery.entry_id)
            prepared = Settled(delivery, None, Pending(type(error).__name__))
        match prepared:
            case Settled(outcome=Dead(reason)):
                await self._stages.dead_letters.passed(reason)
                await self._stages.outcomes.settle([prepared])
            case Settled():
                await self._stages.outcomes.settle([prepared])
            case DeletionRequest():
                await self._deletions.add(prepared)
            case EmbeddingJob():
                self._stages.batcher.add(prepared, self._clock.monotonic())
                self._changed.set()

    async def _delete(self, requests: Sequence[DeletionRequest]) -> None:
        outcomes = await self._stages.delete(requests)
        await self._stages.outcomes.settle(
            [Settled(request.delivery, None, outcome) for request, outcome in zip(requests, outcomes, strict=True)]
        )

    async def run(self) -> None:
        """Work until closed and empty. Cancelled, it leaves what is in progress pending."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._deletions.run())
            while not (self._held_entries.is_closed and self._stages.batcher.is_empty):
                self._pulse.beat()
                self._changed.clear()
                now, limit = self._clock.monotonic(), self._concurrency.limit
                due = self._due(now)
                lane = self._scheduler.choose(due, limit, now)
                if lane is None:
                    wait = self._scheduler.next_due(due, limit, now)
                    await self._wait_for_change(_IDLE_SECONDS if wait is None else wait)
                else:
                    self._scheduler.begin(lane)
                    self._concurrency.started(self._scheduler.calls, self._scheduler.slots(lane, limit))
                    tasks.create_task(self._process(lane, self._stages.batcher.take(lane)))

    def _due(self, now: float) -> dict[Lane, float | None]:
        """Return the seconds until a batch of each lane is due, None where nothing waits."""
        # Once closed, no batch gets any fuller.
        at = math.inf if self._held_entries.is_closed else now
        return {lane: self._stages.batcher.due_in(lane, at) for lane in LANES}

    async def _wait_for_change(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()

    async def _process(self, lane: Lane, batch: Sequence[EmbeddingJob]) -> None:
        embedded_at = self._clock.monotonic()
        with contextlib.ExitStack() as slot:
            slot.callback(self._free_slot, lane)

            def embedded() -> None:
                nonlocal embedded_at
                embedded_at = self._clock.monotonic()
                slot.close()

            outcomes = await self._stages.storing.store(batch, embedded)
        await self._stages.outcomes.settle(
            [Settled(job.delivery, job.message, outcome) for job, outcome in zip(batch, outcomes, strict=True)]
        )
        now = self._clock.monotonic()
        self._scheduler.finish(lane, now - embedded_at, now)
        self._changed.set()

    def _free_slot(self, lane: Lane) -> None:
        self._scheduler.free_slot(lane)
        self._changed.set()

    def close(self) -> None:
        """Take nothing more. `run` ends when what is in progress is done."""
        self._held_entries.close()
        self._deletions.close()
        self._changed.set()
