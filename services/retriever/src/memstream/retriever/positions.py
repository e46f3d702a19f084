"""Read your writes: an answer may wait until given positions are searchable."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from memstream.contracts.keys import Position
from memstream.runtime.clock import Clock
from memstream.runtime.errors import Busy, Invalid, MemstreamError, Overloaded
from memstream.streams.connections import Redis
from memstream.streams.positions import Fate, fates, find_pending, identify

_FIRST_PAUSE = 0.002
_LONGEST_PAUSE = 0.05
_LATE = 1 / 16
"""Share of the time waited so far by which a wait may be longer than it had to be."""
_WAITERS_OF_PAUSE = 32
"""For so many waiters each, the first pause is as long again: they may not make Redis busy."""

_RETRY_AFTER = 1.0
_ID_PART = 2**64
"""An entry's id is two numbers below this."""


@dataclass(frozen=True, slots=True)
class WaitOutcome:
    """What has become of positions, as texts."""

    pending: frozenset[str] = frozenset()
    """Those that were not done in time."""
    not_stored: Mapping[str, Fate] = field(default_factory=dict)
    """Those that will not become searchable, and why."""


@dataclass(slots=True, eq=False)
class _Wait:
    """A request that waits."""

    left: set[Position]
    since: float
    progress: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when less is left, or the look-ups fail."""
    failure: MemstreamError | None = None


class PositionWaiter:
    """Waits for the embedder to be done with positions: stored, or in the dead letters.

    Redis is asked for all that wait together. A position that was not given out is not waited for.
    """

    def __init__(self, client: Redis, clock: Clock, *, partitions: int, held: int, held_each: int) -> None:
        """Make it. At most `held` requests wait at once, and `held_each` of one tenant."""
        self._client = client
        self._clock = clock
        self._partitions = partitions
        self._held = held
        self._held_each = held_each
        self._tenants = Counter[str]()
        self._waits: set[_Wait] = set()
        self._polling: asyncio.Task[None] | None = None

    async def wait(self, seconds: Mapping[str, float], tenant: str) -> WaitOutcome:
        """Wait for each position so many seconds at the most, and return what has become of them.

        Raises:
            Invalid: one was not given out by this installation.
            Overloaded: as many of this tenant's requests wait for positions as may.
            Busy: too many requests wait for positions already.
            Unavailable: Redis is out of reach.

        """
        if not seconds:
            return WaitOutcome()
        positions = dict(zip(self._parse(seconds), seconds.values(), strict=True))
        if self._tenants[tenant] >= self._held_each:
            reason = f"{self._held_each} requests of this tenant wait for positions (searches_held_per_tenant)"
            raise Overloaded(reason, _RETRY_AFTER)
        if self._tenants.total() >= self._held:
            raise Busy("the retriever", f"{self._held} requests wait for positions already", _RETRY_AFTER)
        self._tenants[tenant] += 1
        try:
            known = await identify(self._client, list(positions), tenant)
            left = await self._wait({position: positions[position] for position in known.messages})
            done = {position: one for position, one in known.messages.items() if position not in left}
            found: dict[Position, Fate] = {**dict.fromkeys(known.unknown, "unknown"), **await fates(self._client, done)}
        finally:
            self._tenants[tenant] -= 1
            self._tenants += Counter()
        return WaitOutcome(
            frozenset(str(position) for position in left | known.unknown),
            {str(position): fate for position, fate in found.items()},
        )

    async def aclose(self) -> None:
        """Stop asking Redis."""
        if self._polling is not None:
            self._polling.cancel()
            await asyncio.gather(self._polling, return_exceptions=True)

    def _parse(self, texts: Iterable[str]) -> list[Position]:
        positions = [Position.parse(text) for text in texts]
        for position in positions:
            if position.partition >= self._partitions or max(position.order) >= _ID_PART:
                raise Invalid("wait_for", f"{position} was not given out by this installation")
        return positions

    async def _wait(self, seconds: Mapping[Position, float]) -> set[Position]:
        """Return the positions that are not done in time."""
        if not seconds:
            return set()
        now = self._clock.monotonic()
        ends = {position: now + wait for position, wait in seconds.items()}
        wait = _Wait(await find_pending(self._client, seconds), now)
        self._waits.add(wait)
        try:
            while (end := max((ends[position] for position in wait.left), default=0.0)) > self._clock.monotonic():
                self._poll()
                wait.progress.clear()
                try:
                    async with asyncio.timeout(end - self._clock.monotonic()):
                        await wait.progress.wait()
                except TimeoutError:
                    break
                if wait.failure is not None:
                    raise wait.failure
        finally:
            self._waits.discard(wait)
        return await find_pending(self._client, wait.left) if wait.left else set()

    def _poll(self) -> None:
        if self._polling is None or self._polling.done():
            self._polling = asyncio.create_task(self._ask())

    async def _ask(self) -> None:
        """Ask for all that is waited for, as long as somebody waits."""
        while self._waits:
            await self._clock.sleep(self._pause())
            waits = list(self._waits)
            try:
                left = await find_pending(self._client, {position for wait in waits for position in wait.left})
            except MemstreamError as error:
                for wait in waits:
                    wait.failure = error
                    wait.progress.set()
                # Others may have begun to wait meanwhile.
                continue
            for wait in waits:
                if not wait.left <= left:
                    wait.left &= left
                    wait.progress.set()

    def _pause(self) -> float:
        """Return the pause that suits the one who has waited the shortest."""
        first = _FIRST_PAUSE * (1 + len(self._waits) / _WAITERS_OF_PAUSE)
        waited = self._clock.monotonic() - max((wait.since for wait in self._waits), default=0.0)
        return min(_LONGEST_PAUSE, max(first, waited * _LATE))
