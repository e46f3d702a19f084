"""Whether a failed request is sent again, and after how long."""

from dataclasses import dataclass
from random import Random

from memstream.client._errors import ConnectionFailed, MemstreamClientError, Overloaded, Unavailable


@dataclass(frozen=True, slots=True)
class Retries:
    """For how long a failed request is repeated. All times are seconds.

    Every read and every write can be repeated safely: each message carries an id, so ingest recognises a duplicate.
    """

    deadline: float = 30.0
    """For a request with all its retries. 0: no retry."""
    unreachable: float = 30.0
    """The part of `deadline` after which a server that does not answer at all is given up."""
    initial: float = 0.1
    """The longest wait after the first failure. It doubles with each further one."""
    maximum: float = 5.0
    """The longest wait that is not asked for by `Retry-After`."""

    def wait(self, error: MemstreamClientError, attempt: int, elapsed: float, rng: Random) -> float | None:
        """Return the seconds to wait after failure number `attempt` (1, 2, …), or None to give up.

        `Retry-After` is honoured. Without it the wait grows exponentially, with equal jitter.
        """
        seconds_left = self.deadline - elapsed
        if isinstance(error, Overloaded | Unavailable):
            retry_after = error.retry_after
        elif isinstance(error, ConnectionFailed):
            retry_after = None
            seconds_left = min(seconds_left, self.unreachable - elapsed)
        else:
            return None
        bound = min(self.maximum, self.initial * 2.0 ** min(attempt - 1, 32))
        jittered = bound * (0.5 + 0.5 * rng.random())
        # Many clients get the same `Retry-After`. The jitter on top keeps them from coming back all at once.
        seconds = jittered if retry_after is None else retry_after + min(jittered, 0.1 * retry_after)
        return seconds if seconds < seconds_left else None


ONCE = Retries(deadline=0.0)
"""No retries."""
