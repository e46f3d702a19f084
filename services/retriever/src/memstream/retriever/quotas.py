"""Whether a tenant's requests are answered, given its rate."""

from memstream.streams.rates import RateLimiter
from memstream.streams.tenant_policies import TenantPolicies

OUTAGE_SECONDS = 60.0
"""While Redis is out of reach, each replica holds tenants to their rates by itself for so long. Then it refuses."""


class SearchQuota:
    """Holds tenants to `searches_per_second`."""

    def __init__(self, policies: TenantPolicies, rates: RateLimiter) -> None:
        self._policies = policies
        self._rates = rates

    async def take(self, tenant: str, searches: int = 1) -> None:
        """Count a request of so many searches, `MAX_SEARCHES` at the most: all of them or none.

        Raises:
            OverQuota: the tenant's rate is reached.
            Unavailable: Redis has been out of reach for too long.

        """
        policy = await self._policies.of(tenant)
        await self._rates.take_all(tenant, policy.searches_per_second, searches)
