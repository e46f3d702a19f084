"""Periodic tasks that keep Redis and Qdrant tidy."""

import logging
from collections.abc import Awaitable, Callable, Sequence

from memstream.embedder.dependencies import DependencyFaults
from memstream.runtime.clock import Clock
from memstream.runtime.errors import GlobalFault, Rejected, Unavailable
from memstream.runtime.health import Pulse

_log = logging.getLogger(__name__)


class Maintenance:
    """Runs tasks every `period` seconds. Every worker does so without locks, since running one twice is harmless."""

    def __init__(
        self,
        tasks: Sequence[Callable[[], Awaitable[None]]],
        *,
        period: float,
        clock: Clock,
        pulse: Pulse,
        faults: DependencyFaults,
    ) -> None:
        self._tasks = tasks
        self._period = period
        self._clock = clock
        self._pulse = pulse
        self._faults = faults
        self._refused: dict[int, str] = {}
        """By the place of the task that an operator has to permit: the server that refuses it."""

    async def run(self) -> None:
        """Run until cancelled. A task that fails because of a server is tried again after the next period.

        The worker is not ready while a server refuses one for good.
        """
        while True:
            for place, task in enumerate(self._tasks):
                self._pulse.beat()
                try:
                    await task()
                except GlobalFault as error:
                    self._refused[place] = error.dependency
                    self._faults.report(error)
                except (Unavailable, Rejected) as error:
                    _log.warning("upkeep: %s", error)
                else:
                    self._permitted(place)
            await self._clock.sleep(self._period)

    def _permitted(self, place: int) -> None:
        dependency = self._refused.pop(place, None)
        if dependency is not None and dependency not in self._refused.values():
            self._faults.clear(dependency)
