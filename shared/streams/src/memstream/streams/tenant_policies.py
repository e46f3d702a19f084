"""The policies of tenants: kept in Redis, and cached by each process for a moment."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from memstream.contracts import keys
from memstream.contracts.tenants import TenantPolicy
from memstream.runtime.clock import Clock
from memstream.runtime.errors import Unavailable
from memstream.streams.connections import Redis, decoded, redis_faults

_CACHED_TENANTS = 10_000


@dataclass(frozen=True, slots=True)
class _Cached:
    read_at: float
    policy: TenantPolicy


async def read_policy(redis: Redis, tenant: str | None) -> TenantPolicy:
    """Return what is set for a tenant alone; None: the defaults of the installation.

    Raises:
        Unavailable: Redis cannot be reached.

    """
    with redis_faults():
        return _read(await redis.hgetall(_key(tenant)))


async def write_policy(redis: Redis, tenant: str | None, policy: TenantPolicy) -> None:
    """Replace what is set for a tenant, or the defaults. All processes know it within two seconds.

    Raises:
        Unavailable: Redis cannot be reached. The policy may have been replaced.

    """
    name = _key(tenant)
    fields: dict[Any, Any] = policy.model_dump(include=set(TenantPolicy.model_fields), exclude_none=True)
    with redis_faults():
        # First, since whoever is not in this set is swept by the defaults. Tenants stay in it when their policy is
        # empty: whoever reads it reads their policies, too.
        if tenant is not None:
            await redis.sadd(keys.TENANTS, tenant)
        async with redis.pipeline(transaction=True) as pipe:
            pipe.delete(name)
            if fields:
                pipe.hset(name, mapping=fields)
            await pipe.execute()


class TenantPolicies:
    """Looks policies up, and caches them for a short time.

    A change holds within `fresh` seconds. While Redis cannot be reached, a policy that was read within the last `stale`
    seconds goes on to hold.
    """

    def __init__(self, redis: Redis, clock: Clock, *, fresh: float = 1.5, stale: float = 300.0) -> None:
        self._redis = redis
        self._clock = clock
        self._fresh = fresh
        self._stale = stale
        self._cache: dict[str, _Cached] = {}
        self._retry_at = clock.monotonic()

    async def of(self, tenant: str) -> TenantPolicy:
        """Return the policy that holds for a tenant.

        Raises:
            Unavailable: Redis cannot be reached, and the policy is not in the cache.

        """
        now = self._clock.monotonic()
        cached = self._cache.get(tenant)
        if cached is not None and (
            now - cached.read_at < self._fresh or (now < self._retry_at and now - cached.read_at < self._stale)
        ):
            return cached.policy
        try:
            with redis_faults():
                own, defaults = await self._read_both(tenant)
        except Unavailable:
            # Not every caller has to wait for a timeout to learn that Redis is down.
            self._retry_at = self._clock.monotonic() + self._fresh
            if cached is not None and now - cached.read_at < self._stale:
                return cached.policy
            raise
        if tenant not in self._cache and len(self._cache) >= _CACHED_TENANTS:
            del self._cache[next(iter(self._cache))]
        policy = _read(own).over(_read(defaults))
        self._cache[tenant] = _Cached(now, policy)
        return policy

    async def _read_both(self, tenant: str) -> tuple[Mapping[Any, Any], Mapping[Any, Any]]:
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.hgetall(keys.tenant_policy(tenant))
            pipe.hgetall(keys.TENANT_DEFAULTS)
            own, defaults = await pipe.execute()
        return own, defaults

    async def defaults(self) -> TenantPolicy:
        """Return the policy of tenants without one of their own.

        Raises:
            Unavailable: Redis cannot be reached.

        """
        return await read_policy(self._redis, None)

    async def all(self) -> dict[str, TenantPolicy]:
        """Return what holds for each tenant that has a policy of its own.

        Raises:
            Unavailable: Redis cannot be reached.

        """
        with redis_faults():
            tenants = sorted(map(decoded, await self._redis.smembers(keys.TENANTS)))
        return {tenant: await self.of(tenant) for tenant in tenants}


def _key(tenant: str | None) -> str:
    return keys.TENANT_DEFAULTS if tenant is None else keys.tenant_policy(tenant)


def _read(fields: Mapping[Any, Any]) -> TenantPolicy:
    # A newer version may know more limits than this one.
    known = {decoded(name): decoded(value) for name, value in fields.items()}
    return TenantPolicy.model_validate({name: known[name] for name in TenantPolicy.model_fields if name in known})
