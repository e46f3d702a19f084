"""Whether a tenant's messages are accepted, given its limits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from memstream.contracts.messages import LineError
from memstream.contracts.tenants import LimitName, TenantPolicy
from memstream.ingest.appends import Appended
from memstream.ingest.recorder import NewEntry
from memstream.ingest.tenant_usage import TenantUsage, Usage
from memstream.runtime.errors import OverQuota
from memstream.streams.rates import RateLimiter
from memstream.streams.tenant_policies import TenantPolicies
from memstream.web.problems import whole_seconds

LEAST_MESSAGES = 10
"""What a tenant may post at once after a pause, however low its rate is."""

_BACKLOG_RETRY_SECONDS = 10.0
_STORED_RETRY_SECONDS = 60.0
"""Stored messages are counted once a minute: there may be room when some were deleted or have expired."""


@dataclass(frozen=True, slots=True)
class Admission:
    """How many messages of a request are accepted, the first ones of it, and why no more are."""

    messages: int
    refusal: OverQuota | None = None

    def line_error(self) -> LineError:
        """Return the error of a line that is not accepted."""
        if self.refusal is None:
            raise ValueError("every line is accepted")
        return LineError(
            code="over-quota",
            message=str(self.refusal),
            limit=self.refusal.limit,
            retry_after=whole_seconds(self.refusal.retry_after),
        )


class Quotas(Protocol):
    """Decides how many messages of a tenant are accepted."""

    async def admit(self, tenant: str, messages: int) -> Admission:
        """Return how many of so many messages are accepted.

        Raises:
            OverQuota: none is.
            Unavailable: Redis cannot be reached.

        """
        ...

    async def count(self, tenant: str, entries: Sequence[NewEntry], appended: Sequence[Appended]) -> None:
        """Count what was appended."""
        ...


class Unlimited:
    """Accepts everything."""

    async def admit(self, tenant: str, messages: int) -> Admission:  # noqa: ARG002 - as `Quotas`
        """See `Quotas`."""
        return Admission(messages)

    async def count(self, tenant: str, entries: Sequence[NewEntry], appended: Sequence[Appended]) -> None:
        """See `Quotas`."""


class TenantQuotas:
    """Accepts what tenants' policies allow."""

    def __init__(self, policies: TenantPolicies, rates: RateLimiter, usage: TenantUsage, *, backlog_limit: int) -> None:
        self._policies = policies
        self._rates = rates
        self._usage = usage
        self._backlog_limit = backlog_limit

    async def admit(self, tenant: str, messages: int) -> Admission:
        """See `Quotas`."""
        policy = await self._policies.of(tenant)
        room, refusal = messages, None
        if _is_counted(policy):
            room, refusal = self._room(policy, await self._usage.read(tenant), messages)
        if room:
            permits, retry_after = await self._rates.take(tenant, policy.messages_per_second, room)
            if permits < room and policy.messages_per_second is not None:
                room, refusal = permits, self._rates.refusal(policy.messages_per_second, retry_after)
        if refusal is not None and not room:
            raise refusal
        return Admission(room, refusal)

    def _room(self, policy: TenantPolicy, usage: Usage, wanted: int) -> tuple[int, OverQuota | None]:
        room, refusal = wanted, None
        share = None if policy.backlog_share is None else int(policy.backlog_share * self._backlog_limit)
        bounds: tuple[tuple[LimitName, int | None, int, float], ...] = (
            ("backlog_share", share, usage.waiting, _BACKLOG_RETRY_SECONDS),
            ("stored_messages", policy.stored_messages, usage.stored, _STORED_RETRY_SECONDS),
        )
        for limit, bound, used, retry_after in bounds:
            if bound is not None and bound - used < room:
                room = max(0, bound - used)
                refusal = OverQuota(limit, f"{limit}: {used} of {bound} messages are taken", retry_after)
        return room, refusal

    async def count(self, tenant: str, entries: Sequence[NewEntry], appended: Sequence[Appended]) -> None:
        """See `Quotas`."""
        if _is_counted(await self._policies.of(tenant)):
            self._usage.count(entries, appended)


def _is_counted(policy: TenantPolicy) -> bool:
    return policy.backlog_share is not None or policy.stored_messages is not None
