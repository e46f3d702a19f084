"""Rates of tenants, which all replicas of a service keep to together.

A token bucket in Redis has the permits, by Redis' clock. A replica takes a slice of them at a time and gives it out by
itself, so that most requests ask nobody. What is left of a slice ends after `SLICE_LIFETIME_SECONDS`. So within any `t`
seconds all replicas together let through at most `rate * (t + SLICE_LIFETIME_SECONDS) + capacity`.
"""

import asyncio
import math
from dataclasses import dataclass, field

from memstream.contracts import keys
from memstream.contracts.tenants import LimitName
from memstream.runtime.clock import Clock
from memstream.runtime.errors import OverQuota, Unavailable
from memstream.streams.connections import DEPENDENCY, Redis
from memstream.streams.quota_scripts import TAKE_SLICE, BucketKeys, SliceArguments, Taken
from memstream.streams.scripts import Scripts

SLICE_LIFETIME_SECONDS = 1.0
_SLICE_EARNED_SECONDS = 0.1
"""A slice has what is earned in this time, or what is wanted if that is more."""
_CAPACITY_SECONDS = 4.0
_RETRY_REDIS_SECONDS = 1.0
_KEPT_TENANTS = 10_000


@dataclass(slots=True)
class _Slice:
    """What a replica has of one tenant's permits."""

    permits: float = 0.0
    ends_at: float = 0.0
    refused: int = 0
    refused_until: float = 0.0
    """Until then there are fewer than `refused` further permits."""
    answered_at: float = -math.inf
    """When Redis answered last."""
    earned_at: float = -math.inf
    """While Redis is out of reach: up to when permits were earned."""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


def capacity(rate: float, least: int) -> float:
    """Return how many permits a full bucket has: what is earned in four seconds, or `least`."""
    return max(float(least), rate * _CAPACITY_SECONDS)


class RateLimiter:
    """Holds tenants to one rate each.

    While Redis cannot be reached, each replica lets through the tenant's rate by itself, without a burst, for `outage`
    seconds after Redis' last answer about the tenant; then, or with an `outage` of 0, it raises `Unavailable`.
    """

    def __init__(self, redis: Redis, clock: Clock, limit: LimitName, *, least: int, outage: float = 0.0) -> None:
        """Limit requests; a bucket holds at least `least` permits."""
        self._scripts = Scripts(redis)
        self._clock = clock
        self._limit = limit
        self._least = least
        self._outage = outage
        self._slices: dict[str, _Slice] = {}
        self._retry_at = clock.monotonic()

    async def take_all(self, tenant: str, rate: float | None, wanted: int = 1) -> None:
        """Take so many permits, up to `least`.

        Raises:
            OverQuota: they are not there now.
            Unavailable: Redis cannot be reached.

        """
        permits, retry_after = await self.take(tenant, rate, wanted, at_least=wanted)
        if permits < wanted:
            raise self.refusal(rate or 0.0, retry_after)

    async def take(self, tenant: str, rate: float | None, wanted: int, *, at_least: int = 1) -> tuple[int, float]:
        """Take up to so many permits, or none where there are fewer than `at_least`.

        Return how many, and the seconds after which the missing ones may be there.

        Raises:
            Unavailable: Redis cannot be reached.

        """
        if rate is None or wanted == 0:
            return wanted, 0.0
        part = self._slice(tenant)
        if self._left(part) < wanted:
            async with part.lock:
                if self._left(part) < wanted:
                    await self._renew(tenant, part, rate, wanted, at_least)
        permits = min(wanted, int(self._left(part)))
        if permits < at_least:
            permits = 0
        part.permits -= permits
        missing = wanted - permits
        if not missing:
            return permits, 0.0
        until_next = part.refused_until - self._clock.monotonic()
        return permits, max(until_next, min(missing, self._capacity(rate)) / rate)

    def refusal(self, rate: float, retry_after: float) -> OverQuota:
        """Return the error for a request without a permit."""
        return OverQuota(self._limit, f"{self._limit}: the limit of {rate:g} is reached", retry_after)

    def _slice(self, tenant: str) -> _Slice:
        part = self._slices.get(tenant)
        if part is None:
            if len(self._slices) >= _KEPT_TENANTS:
                self._forget_idle()
            part = self._slices[tenant] = _Slice()
        return part

    def _forget_idle(self) -> None:
        now = self._clock.monotonic()
        self._slices = {
            tenant: part for tenant, part in self._slices.items() if part.ends_at > now or part.lock.locked()
        }

    def _left(self, part: _Slice) -> float:
        if self._clock.monotonic() >= part.ends_at:
            part.permits = 0.0
        return part.permits

    async def _renew(self, tenant: str, part: _Slice, rate: float, wanted: int, at_least: int) -> None:
        now = self._clock.monotonic()
        left = int(self._left(part))
        at_least = max(1, at_least - left)
        if now < part.refused_until and at_least >= part.refused:
            return
        missing = max(wanted - left, math.ceil(rate * _SLICE_EARNED_SECONDS))
        try:
            taken = await self._ask(tenant, SliceArguments(rate / 1000, self._capacity(rate), missing, at_least))
        except Unavailable:
            if self._clock.monotonic() - part.answered_at >= self._outage:
                raise
            self._earn(part, rate)
            return
        part.answered_at = part.earned_at = self._clock.monotonic()
        part.refused, part.refused_until = at_least, now + taken.wait_ms / 1000
        if taken.permits:
            # What was left is taken by the caller at once, so that all that stays is new.
            part.permits = self._left(part) + taken.permits
            part.ends_at = now + SLICE_LIFETIME_SECONDS

    def _capacity(self, rate: float) -> float:
        return capacity(rate, self._least)

    async def _ask(self, tenant: str, arguments: SliceArguments) -> Taken:
        # Not every caller has to wait for a timeout to learn that Redis is down.
        if self._clock.monotonic() < self._retry_at:
            raise Unavailable(DEPENDENCY, "it did not answer a moment ago")
        try:
            return await self._scripts.run(
                TAKE_SLICE.call(BucketKeys(keys.tenant_bucket(tenant, self._limit)), arguments)
            )
        except Unavailable:
            self._retry_at = self._clock.monotonic() + _RETRY_REDIS_SECONDS
            raise

    def _earn(self, part: _Slice, rate: float) -> None:
        now, longest = self._clock.monotonic(), max(SLICE_LIFETIME_SECONDS, 1 / rate)
        earned = min(longest, now - part.earned_at) * rate
        part.permits = min(self._left(part) + earned, max(1.0, rate * SLICE_LIFETIME_SECONDS))
        part.earned_at, part.ends_at = now, now + longest
        part.refused_until = 0.0
