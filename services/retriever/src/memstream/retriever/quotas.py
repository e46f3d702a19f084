"""Whether a tenant's requests are answered, given its rate."""

from collections.abc import Sequence

from memstream.contracts.searches import MAX_SEARCHES, SearchIn
from memstream.streams.rates import RateLimiter
from memstream.streams.tenant_policies import TenantPolicies

OUTAGE_SECONDS = 60.0
"""While Redis is out of reach, each replica holds tenants to their rates by itself for so long. Then it refuses."""

MESSAGES_OF_SEARCH = 250
"""One that may return more messages, neighbours included, costs as much as several searches, and counts as them."""


class SearchQuota:
    """Holds tenants to `searches_per_second`."""

    def __init__(self, policies: TenantPolicies, rates: RateLimiter) -> None:
        self._policies = policies
        self._rates = rates

    async def take(self, tenant: str) -> None:
        """Count one request.

        Raises:
            OverQuota: the tenant's rate is reached.
            Unavailable: Redis has been out of reach for too long.

        """
        await self._take(tenant, 1)

    async def take_searches(self, tenant: str, searches: Sequence[SearchIn]) -> None:
        """Count a request of several searches: all of them or none. It counts as `MAX_SEARCHES` at the most.

        Raises:
            OverQuota, Unavailable: as `take`.

        """
        count = sum(-(-search.messages // MESSAGES_OF_SEARCH) for search in searches)
        await self._take(tenant, min(count, MAX_SEARCHES))

    async def _take(self, tenant: str, searches: int) -> None:
        policy = await self._policies.of(tenant)
        await self._rates.take_all(tenant, policy.searches_per_second, searches)
