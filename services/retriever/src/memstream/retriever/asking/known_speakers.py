"""The speakers of each owner's messages, cached for a short time."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import timedelta

from cachetools import TLRUCache

from memstream.runtime.clock import Clock
from memstream.vectors.store import Owner

_LIFETIME = timedelta(minutes=1)
"""For so long at most a new speaker stays unknown, and is not stripped from questions."""
_LIFETIME_OF_NONE = timedelta(seconds=2)
"""An owner without speakers may have some soon. Many never have any, so that is cached too."""
_MAX_OWNERS = 10_000


class KnownSpeakers:
    """The speakers of each owner's messages, looked up at most once a minute."""

    def __init__(self, look_up: Callable[[Owner], Awaitable[Sequence[str]]], clock: Clock) -> None:
        self._look_up = look_up
        self._cache: TLRUCache[Owner, frozenset[str]] = TLRUCache(_MAX_OWNERS, ttu=_expiry, timer=clock.monotonic)

    async def of(self, owners: Collection[Owner]) -> Mapping[Owner, frozenset[str]]:
        """Return the speakers of each owner. Those that are not cached are looked up concurrently.

        Raises:
            Unavailable, GlobalFault, Rejected: a look-up failed.

        """
        cached = {owner: self._cache.get(owner) for owner in dict.fromkeys(owners)}
        known = {owner: speakers for owner, speakers in cached.items() if speakers is not None}
        missing = [owner for owner in cached if owner not in known]
        for owner, speakers in zip(missing, await asyncio.gather(*map(self._look_up, missing)), strict=True):
            known[owner] = self._cache[owner] = frozenset(speakers)
        return known


def _expiry(_owner: Owner, speakers: frozenset[str], now: float) -> float:
    return now + (_LIFETIME if speakers else _LIFETIME_OF_NONE).total_seconds()
