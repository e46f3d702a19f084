"""Whom a user's messages are by, remembered for a while."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import timedelta

from memstream.runtime.clock import Clock
from memstream.vectors.store import Owner

_LASTS = timedelta(minutes=1)
"""A speaker who is new is unknown for so long at the most: until then a question is asked with the name in it."""
_NONE_LASTS = timedelta(seconds=2)
"""Who has none yet may have some in a moment; but many never have any, and are asked about all the same."""
_OWNERS = 10_000


class KnownSpeakers:
    """The speakers of each owner's messages, looked up once a minute at the most."""

    def __init__(self, look_up: Callable[[Owner], Awaitable[Sequence[str]]], clock: Clock) -> None:
        self._look_up = look_up
        self._clock = clock
        self._known: OrderedDict[Owner, tuple[float, frozenset[str]]] = OrderedDict()

    async def of(self, owners: Collection[Owner]) -> Mapping[Owner, frozenset[str]]:
        """Give them for each owner; those that are not known are looked up at the same time.

        Raises:
            Unavailable, GlobalFault, Rejected: as looking them up does.

        """
        now = self._clock.monotonic()
        found = {owner: known[1] for owner in owners if (known := self._known.get(owner)) and now < known[0]}
        missing = list(dict.fromkeys(owner for owner in owners if owner not in found))
        if missing:
            looked_up = await asyncio.gather(*(self._look_up(owner) for owner in missing))
            found.update(
                {
                    owner: self._remember(owner, now, frozenset(speakers))
                    for owner, speakers in zip(missing, looked_up, strict=True)
                }
            )
        return found

    def _remember(self, owner: Owner, now: float, speakers: frozenset[str]) -> frozenset[str]:
        lasts = _LASTS if speakers else _NONE_LASTS
        self._known[owner] = now + lasts.total_seconds(), speakers
        self._known.move_to_end(owner)
        if len(self._known) > _OWNERS:
            self._known.popitem(last=False)
        return speakers
