"""Whether to try again, and when."""

from dataclasses import dataclass
from random import Random

from memstream.client._errors import ConnectionFailed, MemstreamClientError, Overloaded, Unavailable


@dataclass(frozen=True, slots=True)
class Retries:
    """How long a call is repeated; seconds.

    Only what can be repeated without harm is repeated: every read, and every write, since each message carries an id.
    """

    deadline: float = 30.0
    """For a call with all its repetitions. 0: no repetition."""
    unreachable: float = 30.0
    """Of these, how long while nothing answers at all."""
    initial: float = 0.1
    maximum: float = 5.0

    def wait(self, error: MemstreamClientError, attempt: int, elapsed: float, chance: Random) -> float | None:
        """Give the seconds to wait after the `attempt`-th failure (1, 2, …), or None if the error is to stand.

        `Retry-After` is honoured; without it the wait grows exponentially, with equal jitter.
        """
        left = self.deadline - elapsed
        if isinstance(error, Overloaded | Unavailable):
            asked = error.retry_after
        elif isinstance(error, ConnectionFailed):
            asked = None
            left = min(left, self.unreachable - elapsed)
        else:
            return None
        bound = min(self.maximum, self.initial * 2.0 ** min(attempt - 1, 32))
        jittered = bound * (0.5 + 0.5 * chance.random())
        # A whole crowd is told the same `Retry-After`; the jitter on top keeps it from coming back as one.
        seconds = jittered if asked is None else asked + min(jittered, 0.1 * asked)
        return seconds if seconds < left else None


ONCE = Retries(deadline=0.0)
"""No repetition."""
