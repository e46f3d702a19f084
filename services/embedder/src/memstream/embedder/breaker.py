"""A circuit breaker: it keeps an outage that looks like bad messages from filling the dead letters.

A few messages can't be stored, whatever is done. When most can't, something they all need is probably broken in a way
that nobody foresaw. Then it is better to pause and report it than to dead-letter them.
"""

from collections import deque
from dataclasses import dataclass

from memstream.embedder.dependencies import DependencyFaults
from memstream.runtime.clock import Clock
from memstream.runtime.errors import GlobalFault
from memstream.runtime.health import Pulse

DEAD_LETTERS = "the dead letters"
"""The dependency that is reported to fail while the breaker is open."""


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """The breaker opens when of the last `window` messages at least `least`, and more than `share`, died."""

    window: int = 200
    least: int = 20
    share: float = 0.5
    pause: float = 10.0
    """Seconds between two dead letters while it is open. One success doesn't close it, one more failure costs one."""


class Breaker:
    """Looks at the latest outcomes. Pure: the time is passed in."""

    def __init__(self, policy: BreakerPolicy) -> None:
        self._policy = policy
        self._died: deque[bool] = deque(maxlen=policy.window)
        self._next_at = 0.0

    @property
    def is_open(self) -> bool:
        """Most of the latest messages died."""
        dead = sum(self._died)
        return dead >= self._policy.least and dead > self._policy.share * len(self._died)

    def note_stored(self, messages: int) -> None:
        """Note messages that were stored."""
        self._died.extend([False] * messages)

    def wait(self, now: float) -> float:
        """Return 0 when a message may be dead-lettered now, and count it; else the seconds until one may."""
        if self.is_open:
            if now < self._next_at:
                return self._next_at - now
            self._next_at = now + self._policy.pause
        self._died.append(True)
        return 0.0


class DeadLetterGate:
    """Asked before a message is dead-lettered. While the breaker is open, it reports that and makes callers wait."""

    def __init__(self, breaker: Breaker, faults: DependencyFaults, clock: Clock, pulse: Pulse) -> None:
        self._breaker = breaker
        self._faults = faults
        self._clock = clock
        self._pulse = pulse

    async def may_pass(self, reason: str) -> bool:
        """Return whether a message may be dead-lettered now; False only after a pause."""
        wait = self._breaker.wait(self._clock.monotonic())
        if wait:
            self._faults.report(GlobalFault(DEAD_LETTERS, f"most messages would end there, the latest for: {reason}"))
            self._pulse.beat()
            await self._clock.sleep(wait)
        return not wait

    async def passed(self, reason: str) -> None:
        """Return once a message may be dead-lettered."""
        while not await self.may_pass(reason):
            pass

    def note_stored(self, messages: int) -> None:
        """Note messages that were stored; enough of them close the breaker."""
        self._breaker.note_stored(messages)
        if not self._breaker.is_open:
            self._faults.clear(DEAD_LETTERS)
