"""Periodic tasks that keep Redis and Qdrant tidy."""

import logging
from collections.abc import Awaitable, Callable, Sequence

from memstream.runtime.clock import Clock
from memstream.runtime.errors import GlobalFault, Rejected, Unavailable
from memstream.runtime.health import Pulse

_log = logging.getLogger(__name__)


class Maintenance:
    """Runs tasks every `period` seconds. Every worker does so without locks, since running one twice is harmless."""

    def __init__(
        self, tasks: Sequence[Callable[[], Awaitable[None]]], *, period: float, clock: Clock, pulse: Pulse
    ) -> None:
        self._tasks = tasks
        self._period = period
        self._clock = clock
        self._pulse = pulse

    async def run(self) -> None:
        """Run until cancelled. A task that fails because of a dependency is tried again after the next period."""
        while True:
            for task in self._tasks:
                self._pulse.beat()
                try:
                    await task()
                except (Unavailable, GlobalFault, Rejected) as error:
                    _log.warning("upkeep: %s", error)
            await self._clock.sleep(self._period)
