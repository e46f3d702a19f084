"""Back-off: how long to wait before a retry."""

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential back-off with equal jitter (Brooker, "Exponential Backoff And Jitter", 2015); seconds."""

    initial: float = 0.1
    maximum: float = 10.0
    factor: float = 2.0

    def delay(self, attempt: int, rng: Random) -> float:
        """Return a random delay after the `attempt`-th failure (1, 2, …): half to all of a growing bound."""
        exponent = min(attempt - 1, 64)
        bound = min(self.maximum, self.initial * self.factor**exponent)
        return bound * (0.5 + 0.5 * rng.random())
