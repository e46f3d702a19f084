"""What is done again and again to keep Redis tidy."""

import logging
from collections.abc import Awaitable, Callable, Sequence

from memstream.runtime.clock import Clock
from memstream.runtime.errors import Unavailable
from memstream.runtime.health import Pulse

_log = logging.getLogger(__name__)


class Upkeep:
    """Does its tasks every `period` seconds. Every worker does, without locks: doing one twice changes nothing."""

    def __init__(
        self, tasks: Sequence[Callable[[], Awaitable[None]]], *, period: float, clock: Clock, pulse: Pulse
    ) -> None:
        self._tasks = tasks
        self._period = period
        self._clock = clock
        self._pulse = pulse

    async def run(self) -> None:
        """Go on until cancelled; what fails because Redis is away is tried again at the next turn."""
        while True:
            for task in self._tasks:
                self._pulse.beat()
                try:
                    await task()
                except Unavailable as error:
                    _log.warning("upkeep: %s", error)
            await self._clock.sleep(self._period)
