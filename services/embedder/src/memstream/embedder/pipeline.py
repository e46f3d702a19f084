"""Source → decode → batch → embed → store → acknowledge: each message in hand goes through here once."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from random import Random

from memstream.contracts.keys import LANES, Lane
from memstream.embedder.batching import Batcher
from memstream.embedder.chunks import Chunker
from memstream.embedder.concurrency import Concurrency
from memstream.embedder.deference import Deference
from memstream.embedder.metrics import EmbedderMetrics
from memstream.embedder.settlement import Settlement
from memstream.embedder.storing import Storing
from memstream.embedder.trouble import Trouble
from memstream.embedder.work import Dead, Delivery, Left, Order, Settled, Work, prepare
from memstream.runtime.backoff import Backoff
from memstream.runtime.clock import Clock
from memstream.runtime.errors import Unavailable
from memstream.runtime.health import Pulse
from memstream.streams.connections import DEPENDENCY

_log = logging.getLogger(__name__)

_BULK_SHARE = 0.75
"""Of the room, for imports."""

_IDLE_SECONDS = 1.0
"""How often an idle loop shows that it is alive."""

_SCARCE, _STRETCH = 0.75, 2.0
"""From so large a share of the slots in use on, a batch waits longer for company: twice `linger` more for the last one.
Taken by one small batch right after the other, the slots would all be gone for the rest of a call, and whoever comes
then would wait for the first to end."""

_TURN = 16
"""Entries prepared in one go; then whoever else has something to do gets his turn."""


class Pipeline:
    """Takes deliveries while there is room, and brings each to its outcome."""

    def __init__(  # noqa: PLR0913 - its stages, by name
        self,
        *,
        batcher: Batcher,
        chunker: Chunker,
        storing: Storing,
        settlement: Settlement,
        trouble: Trouble,
        metrics: EmbedderMetrics,
        clock: Clock,
        backoff: Backoff,
        pulse: Pulse,
        chance: Random,
        concurrency: Concurrency,
        held_messages: int,
        held_bytes: int,
        max_deliveries: int,
    ) -> None:
        self._batcher = batcher
        self._chunker = chunker
        self._storing = storing
        self._settlement = settlement
        self._trouble = trouble
        self._metrics = metrics
        self._clock = clock
        self._backoff = backoff
        self._pulse = pulse
        self._chance = chance
        self._concurrency = concurrency
        self._calling: dict[Lane, int] = dict.fromkeys(LANES, 0)
        self._deference = Deference(concurrency.most)
        self._importing = 0
        self._held: dict[tuple[str, str], Delivery] = {}
        self._held_bytes = 0
        self._waiting: dict[tuple[str, str], Delivery] = {}
        self._held_messages_limit = held_messages
        self._held_bytes_limit = held_bytes
        self._max_deliveries = max_deliveries
        self._room = asyncio.Condition()
        self._changed = asyncio.Event()
        self._closed = False

    @property
    def held(self) -> Sequence[Delivery]:
        """The entries in hand and those that wait for room: their leases have to be renewed."""
        return [*self._held.values(), *self._waiting.values()]

    async def offer(self, deliveries: Sequence[Delivery]) -> None:
        """Take entries in hand, as soon as there is room. Not returning is the backpressure: nothing more is read.

        Entries that are in hand already are passed over. Once closed, entries are left waiting.
        """
        fresh = {d.name: d for d in deliveries if d.name not in self._held and d.name not in self._waiting}
        self._waiting.update(fresh)
        try:
            for number, delivery in enumerate(fresh.values(), 1):
                if number % _TURN == 0:
                    await asyncio.sleep(0)
                await self._wait_for_room(delivery.lane)
                if self._closed:
                    return
                del self._waiting[delivery.name]
                self._held[delivery.name] = delivery
                self._held_bytes += delivery.size
                self._metrics.held.set(len(self._held))
                try:
                    await self._queue(delivery)
                except asyncio.CancelledError:
                    # Nobody works on it any more, so it must not keep its lease: it comes back when that ends.
                    if not self._closed:
                        self._let_go(delivery)
                    raise
        finally:
            if not self._closed:
                for name in fresh:
                    self._waiting.pop(name, None)

    async def _wait_for_room(self, lane: Lane) -> None:
        async with self._room:
            await self._room.wait_for(lambda: self._has_room(lane) or self._closed)

    def _has_room(self, lane: Lane) -> bool:
        # An import never takes all of the room: what somebody just said would have to wait for it.
        share = 1.0 if lane == "live" else _BULK_SHARE
        return (
            len(self._held) < max(1.0, self._held_messages_limit * share)
            and self._held_bytes < self._held_bytes_limit * share
        )

    async def _queue(self, delivery: Delivery) -> None:
        try:
            prepared = prepare(delivery, self._chunker, self._max_deliveries)
        except Exception as error:  # noqa: BLE001 - the border of what is known; the entry comes back, alone
            _log.exception("can't prepare %s %s", delivery.stream, delivery.entry_id)
            prepared = Settled(delivery, None, Left(type(error).__name__))
        match prepared:
            case Settled(outcome=Dead(reason)):
                while not await self._storing.may_bury(reason):
                    pass
                await self._settle([prepared])
            case Settled():
                await self._settle([prepared])
            case Order():
                # Orders to forget are few. They are carried out where they are read, one after the other.
                await self._settle([Settled(delivery, None, await self._storing.forget(prepared))])
            case Work():
                self._batcher.add(prepared, self._clock.monotonic())
                self._changed.set()

    async def run(self) -> None:
        """Work until closed and empty. Cancelled, it leaves what is in hand pending."""
        async with asyncio.TaskGroup() as tasks:
            while not (self._closed and self._is_empty()):
                self._pulse.beat()
                self._changed.clear()
                now = self._clock.monotonic()
                # Live before bulk.
                due = {lane: self._due_in(lane, now) for lane in LANES if self._has_slot(lane, now)}
                lane = next((lane for lane in LANES if due.get(lane) == 0.0), None)
                if lane is not None:
                    self._calling[lane] += 1
                    self._importing += lane == "bulk"
                    self._concurrency.started(sum(self._calling.values()), self._slots(lane))
                    tasks.create_task(self._process(lane, self._batcher.take(lane)))
                else:
                    await self._wait_for_change(min((d for d in due.values() if d is not None), default=_IDLE_SECONDS))

    def _is_empty(self) -> bool:
        return all(self._batcher.due_in(lane, 0.0) is None for lane in LANES)

    def _due_in(self, lane: Lane, now: float) -> float | None:
        taken = min(1.0, sum(self._calling.values()) / self._concurrency.limit)
        due = self._batcher.due_in(lane, now, 1.0 + _STRETCH * max(0.0, taken - _SCARCE) / (1.0 - _SCARCE))
        return 0.0 if self._closed and due is not None else due

    def _slots(self, lane: Lane) -> int:
        # An import leaves one slot free.
        return self._concurrency.limit if lane == "live" else max(1, self._concurrency.limit - 1)

    def _has_slot(self, lane: Lane, now: float) -> bool:
        if lane == "bulk" and self._importing >= self._deference.allowed(now):
            return False
        # With a single slot, or one fewer than before, an import may have them all. It has no right to the last.
        is_first_live = lane == "live" and not self._calling["live"]
        return is_first_live or sum(self._calling.values()) < self._slots(lane)

    async def _wait_for_change(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()

    async def _process(self, lane: Lane, batch: Sequence[Work]) -> None:
        embedded_at = self._clock.monotonic()
        with contextlib.ExitStack() as slot:
            slot.callback(self._release, lane)

            def embedded() -> None:
                nonlocal embedded_at
                embedded_at = self._clock.monotonic()
                slot.close()

            outcomes = await self._storing.store(batch, embedded)
        await self._settle(
            [Settled(work.delivery, work.message, outcome) for work, outcome in zip(batch, outcomes, strict=True)]
        )
        if lane == "live":
            now = self._clock.monotonic()
            self._deference.stored(now - embedded_at, now)
        else:
            self._importing -= 1
            self._changed.set()

    def _release(self, lane: Lane) -> None:
        self._calling[lane] -= 1
        self._changed.set()

    async def _settle(self, settled: Sequence[Settled]) -> None:
        """Tell Redis, however long that takes, and let go of the entries."""
        failures = 0
        while True:
            try:
                await self._settlement.settle(settled)
            except Unavailable as error:
                failures += 1
                self._trouble.report(error)
                self._pulse.beat()
                await self._clock.sleep(self._backoff.delay(failures, self._chance))
            else:
                break
        if failures:
            self._trouble.clear(DEPENDENCY)
        for one in settled:
            self._note(one)
        async with self._room:
            self._room.notify_all()

    def _note(self, settled: Settled) -> None:
        delivery, outcome = settled.delivery, settled.outcome
        self._let_go(delivery)
        self._metrics.messages.labels(type(outcome).__name__.lower()).inc()
        if isinstance(outcome, Dead):
            _log.error(
                "dead letter: %s %s, %s: %s", delivery.stream, delivery.entry_id, outcome.dead_class, outcome.reason
            )

    def _let_go(self, delivery: Delivery) -> None:
        if self._held.pop(delivery.name, None) is not None:
            self._held_bytes -= delivery.size
            self._metrics.held.set(len(self._held))

    async def close(self) -> None:
        """Take nothing more; `run` ends when what is in hand is done."""
        self._closed = True
        self._changed.set()
        async with self._room:
            self._room.notify_all()
