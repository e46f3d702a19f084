"""Keeps an eye on Redis: makes the groups, reads the backlog, and says whether messages are taken."""

import contextlib
import logging
from random import Random

from memstream.ingest.admission import Admitted, Reading, Refused, Unknown, Watermarks
from memstream.ingest.durability import Durability
from memstream.ingest.metrics import IngestMetrics
from memstream.ingest.stream_log import StreamLog
from memstream.runtime.backoff import Backoff
from memstream.runtime.clock import Clock
from memstream.runtime.errors import ConfigurationError, Overloaded, Unavailable
from memstream.runtime.health import Pulse
from memstream.streams.connections import DEPENDENCY

_log = logging.getLogger(__name__)


class Pressure:
    """Reads Redis' state over and over; nothing is taken while it isn't known."""

    def __init__(  # noqa: PLR0913 - what it needs, by name
        self,
        log: StreamLog,
        durability: Durability,
        watermarks: Watermarks,
        clock: Clock,
        metrics: IngestMetrics,
        *,
        partitions: int,
        pulse: Pulse,
    ) -> None:
        self._log = log
        self._durability = durability
        self._watermarks = watermarks
        self._clock = clock
        self._metrics = metrics
        self._partitions = partitions
        self._pulse = pulse
        self._reading: Reading | None = None
        self._read_at = clock.monotonic()
        self._trouble = "Redis was not reached yet"

    def admit(self) -> None:
        """Return if messages are taken now.

        Raises:
            Overloaded: too much waits.
            Unavailable: nobody knows how much waits.

        """
        match self._watermarks.admit(self._reading, self._clock.monotonic() - self._read_at):
            case Admitted():
                return
            case Refused(reason, retry_after):
                raise Overloaded(reason, retry_after)
            case Unknown(reason):
                raise Unavailable(DEPENDENCY, f"{reason}: {self._trouble}")

    async def check(self) -> None:
        """Return if Redis is known to take messages. Too many that wait are no reason: that passes.

        Raises:
            Unavailable: it isn't.

        """
        if self._reading is None or self._trouble:
            raise Unavailable(DEPENDENCY, self._trouble)
        with contextlib.suppress(Overloaded):
            self.admit()

    async def watch(self, period: float, backoff: Backoff, chance: Random) -> None:
        """Look every `period` seconds until cancelled; after a failure sooner, and less and less often."""
        prepared = False
        failures = 0
        while True:
            self._pulse.beat()
            try:
                if not prepared:
                    await self._log.prepare(self._partitions)
                    prepared = True
                # Redis may have been restarted with other settings, or be another server now.
                await self._durability.settle()
                self._reading = await self._log.read_pressure(self._partitions)
            except (Unavailable, ConfigurationError) as error:
                failures += 1
                # Redis may come back empty: then the groups have to be made anew.
                prepared = False
                if isinstance(error, ConfigurationError):
                    # That is known, and not just out of sight: what was read before no longer counts.
                    self._reading = None
                if str(error) != self._trouble:
                    _log.warning("not taking messages: %s", error)
                self._trouble = str(error)
                await self._clock.sleep(backoff.delay(failures, chance))
                continue
            if self._trouble:
                _log.info("taking messages")
            failures, self._trouble = 0, ""
            self._read_at = self._clock.monotonic()
            self._metrics.backlog.set(self._reading.backlog)
            await self._clock.sleep(period)
