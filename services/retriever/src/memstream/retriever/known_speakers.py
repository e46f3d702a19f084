"""Whom a user's messages are by, remembered for a while."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from memstream.runtime.clock import Clock

_LASTS = timedelta(minutes=1)
"""A speaker who is new is unknown for so long at the most: until then a question is asked with the name in it."""
_NONE_LASTS = timedelta(seconds=2)
"""Who has none yet may have some in a moment; but many never have any, and are asked about all the same."""
_OWNERS = 10_000


class KnownSpeakers:
    """The speakers of each owner's messages, looked up once a minute at the most."""

    def __init__(self, look_up: Callable[[str], Awaitable[Sequence[str]]], clock: Clock) -> None:
        self._look_up = look_up
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, frozenset[str]]] = OrderedDict()

    async def of(self, owner: str) -> frozenset[str]:
        """Give them.

        Raises:
            Unavailable, GlobalFault, Rejected: as looking them up does.

        """
        now = self._clock.monotonic()
        until, speakers = self._known.get(owner, (now, frozenset[str]()))
        if now < until:
            return speakers
        speakers = frozenset(await self._look_up(owner))
        lasts = _LASTS if speakers else _NONE_LASTS
        self._known[owner] = now + lasts.total_seconds(), speakers
        self._known.move_to_end(owner)
        if len(self._known) > _OWNERS:
            self._known.popitem(last=False)
        return speakers
