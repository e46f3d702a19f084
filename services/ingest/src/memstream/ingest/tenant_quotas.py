"""Whether a tenant's messages are accepted, given its limits."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from memstream.contracts.messages import LineError
from memstream.contracts.tenants import LimitName, TenantPolicy
from memstream.ingest.admission import Crowd
from memstream.ingest.appends import Appended
from memstream.ingest.recorder import NewEntry
from memstream.ingest.tenant_usage import TenantUsage, Usage
from memstream.runtime.errors import OverQuota
from memstream.streams.rates import RateLimiter
from memstream.streams.tenant_policies import TenantPolicies
from memstream.web.problems import whole_seconds

LEAST_WRITES = 10
"""Messages, or deletions, that a tenant may send at once after a pause, however low its rate is."""

_BACKLOG_RETRY_SECONDS = 10.0
_STORED_RETRY_SECONDS = 60.0
"""Stored messages are counted once a minute: there may be room when some were deleted or have expired."""

_CROWDED_FROM = 0.75
"""Of what may wait. The rest is for the tenants that do not have most of it."""

_CROWDED_SHARE = 0.5
"""Of all that waits: a tenant with more gets no further ones in while it is crowded, unless its policy says more."""

_CROWDED_LEAST = 100
"""Messages that a tenant may have waiting, however crowded it is."""

_COUNTED_FROM = 0.25
"""Of what may wait: below, nobody has to be counted who has no policy that asks for it."""


class WriteRates(NamedTuple):
    """What holds tenants to their rates."""

    messages: RateLimiter
    deletions: RateLimiter


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

    async def admit(self, tenant: str, messages: int, *, admitted: int = 0) -> Admission:
        """Return how many of so many messages are accepted, after `admitted` ones of the same request.

        Raises:
            OverQuota: none is.
            Unavailable: Redis cannot be reached.

        """
        ...

    async def admit_deletion(self, tenant: str) -> None:
        """Count a deletion.

        Raises:
            OverQuota: it is one too many for now.
            Unavailable: Redis cannot be reached.

        """
        ...

    async def count(self, tenant: str, entries: Sequence[NewEntry], appended: Sequence[Appended]) -> None:
        """Count what was appended."""
        ...


class Unlimited:
    """Accepts everything."""

    async def admit(self, tenant: str, messages: int, *, admitted: int = 0) -> Admission:  # noqa: ARG002 - as `Quotas`
        """See `Quotas`."""
        return Admission(messages)

    async def admit_deletion(self, tenant: str) -> None:
        """See `Quotas`."""

    async def count(self, tenant: str, entries: Sequence[NewEntry], appended: Sequence[Appended]) -> None:
        """See `Quotas`."""


class TenantQuotas:
    """Accepts what tenants' policies allow, and keeps who has most of the backlog from taking the rest of it."""

    def __init__(
        self,
        policies: TenantPolicies,
        rates: WriteRates,
        usage: TenantUsage,
        *,
        backlog_limit: int,
        crowd: Callable[[], Crowd],
    ) -> None:
        self._policies = policies
        self._rates = rates
        self._usage = usage
        self._backlog_limit = backlog_limit
        self._crowd = crowd

    async def admit(self, tenant: str, messages: int, *, admitted: int = 0) -> Admission:
        """See `Quotas`."""
        policy = await self._policies.of(tenant)
        room, refusal = messages, None
        crowd = self._crowd()
        is_crowded = crowd.fullness >= _CROWDED_FROM
        if is_crowded or _has_counts(policy):
            usage = (await self._usage.read(tenant)).plus(admitted)
            room, refusal = self._room(policy, usage, messages, crowd.messages if is_crowded else None)
        if room:
            permits, retry_after = await self._rates.messages.take(tenant, policy.messages_per_second, room)
            if permits < room and policy.messages_per_second is not None:
                room, refusal = permits, self._rates.messages.refusal(policy.messages_per_second, retry_after)
        if refusal is not None and not room:
            raise refusal
        return Admission(room, refusal)

    async def admit_deletion(self, tenant: str) -> None:
        """See `Quotas`."""
        policy = await self._policies.of(tenant)
        await self._rates.deletions.take_all(tenant, policy.deletions_per_second)

    def _room(
        self, policy: TenantPolicy, usage: Usage, wanted: int, crowded: int | None
    ) -> tuple[int, OverQuota | None]:
        room, refusal = wanted, None
        share = None if policy.backlog_share is None else int(policy.backlog_share * self._backlog_limit)
        share_of_crowd = None
        if crowded is not None:
            share_of_crowd = max(_CROWDED_LEAST, int((policy.backlog_share or _CROWDED_SHARE) * crowded))
        bounds: tuple[tuple[LimitName, int | None, int, float], ...] = (
            ("backlog_share", share, usage.waiting, _BACKLOG_RETRY_SECONDS),
            ("backlog_share", share_of_crowd, usage.waiting, _BACKLOG_RETRY_SECONDS),
            ("stored_messages", policy.stored_messages, usage.stored, _STORED_RETRY_SECONDS),
        )
        for limit, bound, used, retry_after in bounds:
            if bound is not None and bound - used < room:
                room = max(0, bound - used)
                refusal = OverQuota(limit, f"{limit}: {used} of {bound} messages are taken", retry_after)
        return room, refusal

    async def count(self, tenant: str, entries: Sequence[NewEntry], appended: Sequence[Appended]) -> None:
        """See `Quotas`."""
        if self._crowd().fullness >= _COUNTED_FROM or _has_counts(await self._policies.of(tenant)):
            self._usage.count(entries, appended)


def _has_counts(policy: TenantPolicy) -> bool:
    return policy.backlog_share is not None or policy.stored_messages is not None
