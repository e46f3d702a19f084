"""Read your writes: an answer may wait until given positions are searchable."""

from collections.abc import Iterable, Mapping, Sequence

from memstream.contracts.keys import Position
from memstream.retriever.admission import ConcurrencyLimiter
from memstream.runtime.clock import Clock
from memstream.runtime.deadline import Deadline
from memstream.runtime.errors import Invalid
from memstream.streams.connections import Redis
from memstream.streams.groups import are_done

_FIRST_PAUSE = 0.002
_LONGEST_PAUSE = 0.05
_LATE = 1 / 16
"""Share of the time waited so far by which a wait may be longer than it had to be."""

_ID_PART = 2**64
"""An entry's id is two numbers below this."""


class PositionWaiter:
    """Waits for the embedder to be done with positions: stored, or in the dead letters."""

    def __init__(self, client: Redis, clock: Clock, *, partitions: int, limiter: ConcurrencyLimiter) -> None:
        self._client = client
        self._clock = clock
        self._partitions = partitions
        self._limiter = limiter

    async def wait(self, seconds: Mapping[str, float]) -> set[str]:
        """Wait for each position so many seconds at the most, and return those that are still not done.

        Raises:
            Invalid: one was not given out by this installation.
            Busy: too many requests wait for positions already.
            Unavailable: Redis is out of reach.

        """
        if not seconds:
            return set()
        positions = self._parse(seconds)
        async with self._limiter.admitted():
            return {str(position) for position in await self._wait(dict(zip(positions, seconds.values(), strict=True)))}

    def _parse(self, texts: Iterable[str]) -> list[Position]:
        positions = [Position.parse(text) for text in texts]
        for position in positions:
            if position.partition >= self._partitions or max(position.order) >= _ID_PART:
                raise Invalid("wait_for", f"{position} was not given out by this installation")
        return positions

    async def _wait(self, seconds: Mapping[Position, float]) -> list[Position]:
        deadlines = {position: Deadline(self._clock, wait) for position, wait in seconds.items()}
        started, pause = self._clock.monotonic(), _FIRST_PAUSE
        left = await self._pending(list(deadlines))
        while waiting := [position for position in left if not deadlines[position].passed]:
            await self._clock.sleep(min(pause, max(deadlines[position].left() for position in waiting)))
            pause = max(_FIRST_PAUSE, min(_LONGEST_PAUSE, (self._clock.monotonic() - started) * _LATE))
            # While the last one isn't done, the others are not asked for: to wait for many costs as much as for one.
            if not await self._pending(waiting[-1:]):
                left = await self._pending(left)
        return await self._pending(left)

    async def _pending(self, positions: Sequence[Position]) -> list[Position]:
        if not positions:
            return []
        done = await are_done(self._client, positions)
        return [position for position, is_done in zip(positions, done, strict=True) if not is_done]
