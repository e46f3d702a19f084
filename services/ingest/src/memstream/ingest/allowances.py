"""How often a tenant may do something within a time, whatever others do."""

from cachetools import TTLCache

from memstream.runtime.clock import Clock
from memstream.runtime.errors import Overloaded

_TENANTS = 100_000


class Allowance:
    """Each tenant may do something `limit` times in `seconds`; what is spent comes back evenly (token bucket).

    It is this process's: with several, a tenant gets as much from each.
    """

    def __init__(self, limit: int, seconds: float, clock: Clock, *, name: str) -> None:
        self._limit = limit
        self._seconds_each = seconds / limit
        self._clock = clock
        self._name = name
        # When everything a tenant has spent will have come back. Nothing is lost when that time is over.
        self._full_at: TTLCache[str, float] = TTLCache(_TENANTS, seconds, clock.monotonic)

    def spend(self, tenant: str) -> None:
        """Note that a tenant does it once more.

        Raises:
            Overloaded: it did that too often.

        """
        now = self._clock.monotonic()
        full_at = max(self._full_at.get(tenant, now), now) + self._seconds_each
        excess = full_at - now - self._limit * self._seconds_each
        # Less than one, which rounding may leave.
        if excess > self._seconds_each / 2:
            raise Overloaded(f"the limit {self._name} of {self._limit} is reached", excess)
        self._full_at[tenant] = full_at
