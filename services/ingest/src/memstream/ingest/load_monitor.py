"""Backpressure: watches Redis, creates the groups, and decides whether writes are accepted."""

import contextlib
import logging
from random import Random

from memstream.ingest.admission import Admitted, Crowd, LimitReached, Reading, Unknown, Watermarks, Write
from memstream.ingest.durability import Durability
from memstream.ingest.metrics import IngestMetrics
from memstream.ingest.stream_log import StreamLog
from memstream.runtime.backoff import Backoff
from memstream.runtime.clock import Clock
from memstream.runtime.errors import ConfigurationError, Overloaded, Unavailable
from memstream.runtime.health import Pulse
from memstream.streams.connections import DEPENDENCY

_log = logging.getLogger(__name__)


class LoadMonitor:
    """Reads the state of Redis periodically. No message is accepted while the state is unknown."""

    def __init__(  # noqa: PLR0913 - its dependencies, by name
        self,
        log: StreamLog,
        durability: Durability,
        watermarks: Watermarks,
        clock: Clock,
        metrics: IngestMetrics,
        *,
        pulse: Pulse,
    ) -> None:
        self._log = log
        self._durability = durability
        self._watermarks = watermarks
        self._clock = clock
        self._metrics = metrics
        self._pulse = pulse
        self._reading: Reading | None = None
        self._read_at = clock.monotonic()
        self._fault = "not connected yet"

    def admit(self, write: Write = Write.MESSAGE) -> None:
        """Raise unless a write is accepted now.

        Raises:
            Overloaded: a watermark is reached.
            Unavailable: the state of Redis is not known.

        """
        match self._watermarks.admit(self._reading, self._clock.monotonic() - self._read_at, write):
            case Admitted():
                return
            case LimitReached(reason, retry_after):
                raise Overloaded(reason, retry_after)
            case Unknown(reason):
                raise Unavailable(DEPENDENCY, f"{reason}: {self._fault}")

    def crowd(self) -> Crowd:
        """Return how much of what may wait is waiting; nothing, as long as that is not known."""
        if self._reading is None:
            return Crowd(0.0, 0)
        return self._watermarks.crowd(self._reading)

    def takes(self, write: Write) -> bool:
        """Return whether a write is accepted now."""
        age = self._clock.monotonic() - self._read_at
        return isinstance(self._watermarks.admit(self._reading, age, write), Admitted)

    async def check(self) -> None:
        """Raise unless Redis accepts writes. A large backlog is not a fault: it passes.

        Raises:
            Unavailable: Redis does not accept writes, or its state is not known.

        """
        if self._reading is None or self._fault:
            raise Unavailable(DEPENDENCY, self._fault)
        with contextlib.suppress(Overloaded):
            self.admit()

    async def watch(self, period: float, backoff: Backoff, rng: Random) -> None:
        """Read the state every `period` seconds until cancelled; after a failure, retry with back-off."""
        prepared = False
        failures = 0
        while True:
            self._pulse.beat()
            try:
                if not prepared:
                    await self._log.prepare()
                    prepared = True
                # Redis may have been restarted with other settings, or replaced by another server.
                await self._durability.read_policy()
                self._reading = await self._log.read_pressure()
            except (Unavailable, ConfigurationError) as error:
                failures += 1
                # Redis may come back empty: then the groups have to be created again.
                prepared = False
                if isinstance(error, ConfigurationError):
                    # Redis was reached and is configured wrongly: the last reading no longer counts.
                    self._reading = None
                if str(error) != self._fault:
                    _log.warning("not accepting messages: %s", error)
                self._fault = str(error)
                await self._clock.sleep(backoff.delay(failures, rng))
                continue
            if self._fault:
                _log.info("accepting messages")
            failures, self._fault = 0, ""
            self._read_at = self._clock.monotonic()
            self._metrics.backlog.set(self._reading.backlog)
            await self._clock.sleep(period)
