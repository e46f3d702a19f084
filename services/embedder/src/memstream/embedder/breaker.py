"""Stops what looks like an outage from draining into the dead letters. Told the time, so pure.

A few messages can't be stored, whatever is done. When most can't, it is more likely that something they need is out of
order in a way nobody foresaw: then it is better to stand still, and say so, than to bury them.
"""

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """Opens when of the last `window` messages more than `share` died, and `least` at the least."""

    window: int = 200
    least: int = 20
    share: float = 0.5
    pause: float = 10.0
    """Seconds between two burials while it is open: one that succeeds at last ends nothing, one that dies costs one."""


class Breaker:
    """Looks at the latest outcomes."""

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
        """Give 0 when a message may be buried now, and count it; else the seconds until one may."""
        if self.is_open:
            if now < self._next_at:
                return self._next_at - now
            self._next_at = now + self._policy.pause
        self._died.append(True)
        return 0.0
