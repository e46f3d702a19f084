"""Which stored messages have come to their end."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from memstream.vectors.store.owners import Owner


@dataclass(frozen=True, slots=True)
class Expiry:
    """What no query finds: messages whose `expires_at` is not after `now`, or that were recorded too long ago."""

    now: datetime
    recorded_since: datetime | None = None
    """The start of the time for which the tenant keeps messages; None: it keeps them all."""


@dataclass(frozen=True, slots=True)
class EndedBy:
    """Chunks of all tenants whose `expires_at` is not after `now`."""

    now: datetime


@dataclass(frozen=True, slots=True)
class RecordedBefore:
    """Chunks of these tenants, or of all others, that were recorded before a time.

    Points of before the field have no tenant. No tenant's are found here.
    """

    time: datetime
    tenants: tuple[str, ...]
    others: bool = False


Sweepable = EndedBy | RecordedBefore
"""What a sweep removes."""

ReadExpiry = Callable[[Owner], Awaitable[Expiry]]
"""Returns what has expired of an owner's messages by now. A store asks before each of its queries."""


def without_retention(now: Callable[[], datetime]) -> ReadExpiry:
    """Return the `ReadExpiry` of an installation whose tenants keep messages until they expire by themselves."""

    async def read(_: Owner) -> Expiry:
        return Expiry(now())

    return read
