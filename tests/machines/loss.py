"""A Redis primary and a Qdrant node are lost under load: what was accepted is kept, and the service comes back."""

import asyncio
from dataclasses import asdict, dataclass, field
from typing import Literal

from waiting import until

from machines.estate import Estate
from machines.load import Load
from machines.outcome import points, worked_off
from machines.tries import Outage, by_second, failures, milliseconds, outage
from memstream.runtime.clock import Clock

How = Literal["killed", "switched off"]
"""`switched off`: their hosts are, so that nobody is told that nothing listens any more."""

_BEFORE = 300
"""Answers before the fault."""
_LONGEST = 60.0
"""Seconds after the fault in which the service has to be back."""
_BACK = 15.0
"""Seconds after the fault from which on no request may fail."""
_STEADY = 5.0
"""Seconds without a failed request, after which the service is back."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What came of it."""

    lost_servers: str
    accepted: int
    lost: int
    twice: int
    strangers: int
    messages: Outage
    searches: Outage
    seconds: dict[str, list[tuple[int, int, int]]] = field(default_factory=dict)
    """For each second after the fault: how many requests were done, and how many failed."""
    failed: dict[str, int] = field(default_factory=dict)
    """Requests by what became of them, if not answered."""
    message_milliseconds: float = 0.0
    search_milliseconds: float = 0.0

    @property
    def is_kept(self) -> bool:
        """Nothing is lost, doubled or mixed up, and all is answered in time."""
        back = max(self.messages.until_all_answered, self.searches.until_all_answered)
        return self.lost + self.twice + self.strangers == 0 and back <= _BACK

    def text(self) -> str:
        """Tell it."""
        return "\n".join(f"{name:22} {value}" for name, value in asdict(self).items())


async def lose(estate: Estate, load: Load, clock: Clock, how: How) -> Figures:
    """Put the load on, lose both at once, wait until every request is answered again, and count."""
    primary = (await estate.redis.primaries())[0]
    node = await estate.qdrant.orders_writes()
    async with load.running():
        await until(
            lambda: load.answered("message") > _BEFORE and load.answered("search") > _BEFORE / 4, "it works under load"
        )
        struck = clock.monotonic()
        if how == "switched off":
            await primary.host.cut_off()
            await node.host.cut_off()
        await asyncio.gather(primary.kill(), node.kill())
        await clock.sleep(_STEADY)

        def is_back() -> bool:
            now = clock.monotonic()
            failures = [one.ended for one in load.tries if one.ended > struck and not one.is_answered]
            return now - max(failures, default=struck) > _STEADY or now > struck + _LONGEST

        await until(is_back, "it is back, or it has taken too long")
    await worked_off(estate)
    copies = await points(estate)
    return Figures(
        f"{primary.folder.name} of Redis and {node.folder.name} of Qdrant, {how}",
        accepted=len(load.accepted),
        lost=len(load.accepted.keys() - copies.keys()),
        twice=sum(number > 1 for number in copies.values()),
        strangers=len(load.strangers),
        messages=outage(load.tries, "message", struck),
        searches=outage(load.tries, "search", struck),
        seconds={kind: by_second(load.tries, kind, struck) for kind in ("message", "search")},
        failed=failures(load.tries),
        message_milliseconds=round(milliseconds(load.tries, "message"), 1),
        search_milliseconds=round(milliseconds(load.tries, "search"), 1),
    )
