"""Lifecycle of a worker: it prepares, reads and works until it is stopped, and shuts down gracefully."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from memstream.embedder.dependencies import DependencyFaults
from memstream.embedder.leases import Leases
from memstream.embedder.maintenance import Maintenance
from memstream.embedder.pipeline import Pipeline
from memstream.embedder.retries import Retrier
from memstream.embedder.subscriptions import Subscriptions
from memstream.runtime.errors import MemstreamError, Unavailable
from memstream.runtime.health import Pulse

_log = logging.getLogger(__name__)

_WATCH_SECONDS = 0.5
_CANCEL_SECONDS = 0.5

Step = Callable[[], Awaitable[None]]


class LoopEnded(MemstreamError):
    """A loop that must run for ever has ended: the process is of no use any more."""


@dataclass(frozen=True, slots=True)
class Worker:
    """Everything that runs in an embedder, wired and not yet started."""

    create_groups: Step
    """Creates the consumer groups, where they are missing."""
    preparation: Sequence[Step]
    """What must have succeeded once, in order, before anything is read."""
    pipeline: Pipeline
    leases: Leases
    upkeep: Sequence[Maintenance]
    subscriptions: Subscriptions
    retrying: Retrier
    faults: DependencyFaults
    pulse: Pulse
    grace_seconds: float
    close: Sequence[Step]
    """Closes the connections, in order."""

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; then finish work in progress within the grace period, and leave the rest pending.

        Raises:
            ConfigurationError: a setting contradicts what the installation has.
            LoopEnded: a loop has ended by itself.

        """
        stopping = asyncio.create_task(stop.wait())
        preparing = asyncio.create_task(self._prepare())
        await asyncio.wait([preparing, stopping], return_when=asyncio.FIRST_COMPLETED)
        await _cancel(stopping)
        if preparing.done():
            preparing.result()
            await self._work(stop)
        await _cancel(preparing)
        for close in self.close:
            await close()

    async def _prepare(self) -> None:
        for step in (self.create_groups, *self.preparation):
            await self._succeed(step)

    async def _succeed(self, step: Step) -> None:
        self.pulse.beat()
        await self.retrying.until_success(step)

    async def _work(self, stop: asyncio.Event) -> None:
        pipeline = asyncio.create_task(self.pipeline.run())
        leases = asyncio.create_task(self.leases.keep_own())
        upkeep = [asyncio.create_task(each.run()) for each in self.upkeep]
        intake = asyncio.create_task(self._intake())
        watch = asyncio.create_task(self._watch(stop))
        try:
            loops = [pipeline, leases, *upkeep, intake, watch]
            done, _ = await asyncio.wait(loops, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {watch}:
                raise LoopEnded(f"a loop has ended: {task.exception()!r}") from task.exception()
            watch.result()
        finally:
            # Nothing new comes in. The leases end last, since the work in progress still needs them.
            self.pipeline.close()
            await _cancel(intake, *upkeep, watch)
            await self.subscriptions.stop()
            await asyncio.wait([pipeline], timeout=self.grace_seconds)
            await _cancel(pipeline, leases)
            await self._give_up_leases()

    async def _give_up_leases(self) -> None:
        try:
            await self.leases.give_up()
        except Unavailable as error:
            _log.warning("the leases end by themselves: %s", error)

    async def _intake(self) -> None:
        await self._succeed(self._take_up)
        await self._succeed(self.subscriptions.start)
        self.faults.note_reading()
        _log.info("reading")
        await self.leases.take_over()

    async def _take_up(self) -> None:
        # The groups again, at each try, since Redis may have lost them meanwhile.
        await self.create_groups()
        await self.leases.drain_own()

    async def _watch(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self.pulse.beat()
            failed = self.subscriptions.failed_streams()
            if failed:
                raise LoopEnded(f"reading has ended: {', '.join(failed)}")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _WATCH_SECONDS)


async def _cancel(*tasks: "asyncio.Task[Any]") -> None:
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        # A library may swallow a cancellation that arrives during a read; then it is repeated.
        _, left = await asyncio.wait(left, timeout=_CANCEL_SECONDS)
