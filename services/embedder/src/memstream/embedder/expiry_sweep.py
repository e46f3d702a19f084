"""Removes from Qdrant what has expired. No query finds it any more, swept or not."""

import logging
from collections.abc import Callable

from memstream.runtime.clock import Clock
from memstream.streams.tenant_policies import TenantPolicies
from memstream.vectors.store import EndedBy, MemoryStore, RecordedBefore, Sweepable

_log = logging.getLogger(__name__)

_CHUNKS = 1_000
_STEPS = 20
"""A sweep removes at most so many chunks so many times from each of what it sweeps; the next one goes on."""


class ExpirySweep:
    """Removes messages whose `expires_at` is over, and those that their tenants keep no longer.

    Every worker sweeps. To remove what another one removes at the same time does no harm, and neither does to end in
    between: the next sweep begins anew.
    """

    def __init__(
        self, store: MemoryStore, policies: TenantPolicies, clock: Clock, beat: Callable[[], None] = lambda: None
    ) -> None:
        """Make it. `beat` is called with each step, since many tenants may have much to be removed."""
        self._store = store
        self._policies = policies
        self._clock = clock
        self._beat = beat

    async def remove_expired(self) -> None:
        """Sweep once.

        Raises:
            Unavailable, GlobalFault, Rejected: Redis or Qdrant is out of reach, or refuses it.

        """
        now = self._clock.now()
        removed = await self._sweep(EndedBy(now))
        policies, defaults = await self._policies.all(), await self._policies.defaults()
        for tenant, policy in policies.items():
            since = policy.recorded_since(now)
            if since is not None:
                removed += await self._sweep(RecordedBefore(since, (tenant,)))
        since = defaults.recorded_since(now)
        if since is not None:
            removed += await self._sweep(RecordedBefore(since, tuple(policies), others=True))
        if removed:
            _log.info("%d expired chunks removed", removed)

    async def _sweep(self, which: Sweepable) -> int:
        removed = 0
        for _ in range(_STEPS):
            self._beat()
            found = await self._store.sweep(which, _CHUNKS)
            removed += found
            if found < _CHUNKS:
                break
        return removed
