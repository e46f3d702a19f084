"""Counts what tenants have stored, for ingest to hold their limits by."""

from collections.abc import Callable

from memstream.contracts import keys
from memstream.streams.connections import Redis, redis_faults
from memstream.streams.tenant_policies import TenantPolicies
from memstream.vectors.store import MemoryStore


class TenantCensus:
    """Counts the stored messages of tenants that have a limit on them. Every worker does."""

    def __init__(
        self, store: MemoryStore, policies: TenantPolicies, redis: Redis, beat: Callable[[], None] = lambda: None
    ) -> None:
        """Make it. `beat` is called with each tenant."""
        self._store = store
        self._policies = policies
        self._redis = redis
        self._beat = beat

    async def count_stored(self) -> None:
        """Count once.

        Raises:
            Unavailable, GlobalFault, Rejected: Redis or Qdrant is out of reach, or refuses it.

        """
        for tenant, policy in (await self._policies.all()).items():
            if policy.stored_messages is not None:
                self._beat()
                with redis_faults():
                    # Before counting: what is appended meanwhile is counted twice rather than not at all.
                    seconds, _ = await self._redis.time()
                stored = await self._store.count(tenant)
                with redis_faults():
                    await self._redis.hset(
                        keys.tenant_stored(tenant), mapping={"messages": stored, "counted_at": seconds}
                    )
