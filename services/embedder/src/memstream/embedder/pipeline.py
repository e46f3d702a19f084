"""Decode, batch, embed, store, acknowledge: each entry goes through here once."""

import asyncio
import contextlib
import logging
import math
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from memstream.contracts.keys import LANES, Lane
from memstream.embedder.batch_processor import BatchProcessor
from memstream.embedder.batching import Batcher
from memstream.embedder.breaker import DeadLetterGate
from memstream.embedder.bulk_throttle import BulkThrottle
from memstream.embedder.concurrency import ConcurrencyController
from memstream.embedder.deletion_queue import DeletionQueue
from memstream.embedder.intake import Intake
from memstream.embedder.jobs import (
    Dead,
    DecodedEntry,
    DeletionRequest,
    Delivery,
    EmbeddingJob,
    Outcome,
    Pending,
    Settled,
    Stored,
)
from memstream.embedder.lane_scheduler import LaneScheduler
from memstream.embedder.outcomes import Outcomes
from memstream.runtime.clock import Clock
from memstream.runtime.health import Pulse

_log = logging.getLogger(__name__)

_IDLE_SECONDS = 1.0
"""How often an idle loop shows that it is alive."""


@dataclass(frozen=True, slots=True)
class Stages:
    """What an entry may go through on its way to its outcome."""

    intake: Intake
    prepare: Callable[[DecodedEntry], EmbeddingJob | DeletionRequest | Settled]
    batcher: Batcher
    storing: BatchProcessor
    delete: Callable[[Sequence[DeletionRequest]], Awaitable[list[Outcome]]]
    """Carries out requests of one owner, in order."""
    dead_letters: DeadLetterGate
    outcomes: Outcomes


class Pipeline:
    """Takes entries, and brings each to its outcome."""

    def __init__(self, stages: Stages, concurrency: ConcurrencyController, clock: Clock, pulse: Pulse) -> None:
        self._stages = stages
        self._concurrency = concurrency
        self._clock = clock
        self._pulse = pulse
        self._scheduler = LaneScheduler(BulkThrottle(concurrency.maximum))
        self._deletions = DeletionQueue(self._delete)
        self._changed = asyncio.Event()
        self._batches = 0
        self._is_closed = False

    async def offer(self, deliveries: Sequence[Delivery]) -> None:
        """Take entries. Not returning is the backpressure: nothing more is read."""
        await self._stages.intake.offer(deliveries, self._begin)

    async def _begin(self, entry: DecodedEntry) -> None:
        try:
            prepared = self._stages.prepare(entry)
        except Exception as error:  # noqa: BLE001 - the border of what is known; the entry comes back, alone
            _log.exception("can't prepare %s %s", entry.delivery.stream, entry.delivery.entry_id)
            prepared = Settled(entry.delivery, None, Pending(type(error).__name__))
        match prepared:
            case Settled():
                await self._settle([prepared])
            case DeletionRequest():
                self._deletions.add(prepared)
            case EmbeddingJob():
                self._stages.batcher.add(prepared, self._clock.monotonic())
                self._changed.set()

    async def _delete(self, requests: Sequence[DeletionRequest]) -> None:
        outcomes = await self._stages.delete(requests)
        settled = [
            Settled(request.delivery, None, outcome) for request, outcome in zip(requests, outcomes, strict=True)
        ]
        await self._stages.outcomes.settle(settled)
        self._stages.intake.release(request.delivery for request in requests)

    async def run(self) -> None:
        """Work until closed and empty. Cancelled, it leaves what is in progress pending."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._deletions.run())
            tasks.create_task(self._stages.intake.take_up(self._begin))
            while not (self._is_closed and self._stages.batcher.is_empty and not self._batches):
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
                    self._batches += 1
                    tasks.create_task(self._process(lane, self._stages.batcher.take(lane)))

    def _due(self, now: float) -> dict[Lane, float | None]:
        """Return the seconds until a batch of each lane is due, None where nothing waits."""
        # Once closed, no batch gets any fuller.
        at = math.inf if self._is_closed else now
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
        now = self._clock.monotonic()
        if outcomes is None:
            self._stages.batcher.divide(batch, now)
            self._scheduler.drop(lane)
        else:
            await self._settle(
                [Settled(job.delivery, job.message, outcome) for job, outcome in zip(batch, outcomes, strict=True)]
            )
            now = self._clock.monotonic()
            self._scheduler.finish(lane, now - embedded_at, now)
        self._batches -= 1
        self._changed.set()

    def _free_slot(self, lane: Lane) -> None:
        self._scheduler.free_slot(lane)
        self._changed.set()

    async def _settle(self, settled: Sequence[Settled]) -> None:
        """Settle messages, except for those that may not be dead-lettered yet: they are tried again later."""
        gate, done = self._stages.dead_letters, list[Settled]()
        for one in settled:
            if isinstance(one.outcome, Dead) and not gate.passes(_tenant(one), one.outcome.reason):
                self._stages.intake.put_back(one.delivery.lane, _tenant(one), [one.delivery])
            else:
                done.append(one)
        stored = [_tenant(one) for one in done if isinstance(one.outcome, Stored)]
        gate.note_stored(stored)
        self._stages.intake.resume(stored)
        self._pause({_tenant(one) for one in settled if isinstance(one.outcome, Dead)})
        await self._stages.outcomes.settle(done)
        self._stages.intake.release(one.delivery for one in done)

    def _pause(self, tenants: Iterable[str]) -> None:
        """Stop working for those of these tenants that may have no dead letters now: it would be in vain, and costs."""
        for tenant in tenants:
            seconds = self._stages.dead_letters.wait(tenant)
            if seconds:
                self._stages.intake.pause(tenant, seconds)
                waiting: defaultdict[Lane, list[Delivery]] = defaultdict(list)
                for job in self._stages.batcher.remove(tenant):
                    waiting[job.delivery.lane].append(job.delivery)
                for lane, deliveries in waiting.items():
                    self._stages.intake.put_back(lane, tenant, deliveries)

    def close(self) -> None:
        """Take nothing more. `run` ends when what is in progress is done."""
        self._is_closed = True
        self._stages.intake.close()
        self._deletions.close()
        self._changed.set()


def _tenant(settled: Settled) -> str:
    return settled.message.tenant if settled.message is not None else ""
