"""Long computations on the event loop, a slice at a time."""

import asyncio

from memstream.runtime.clock import Clock

_SLICE_SECONDS = 0.005


class Turns:
    """Lets long computations of a process take turns, each for a slice of `seconds`.

    Everything else that is ready runs between two slices, however many computations there are.
    """

    def __init__(self, clock: Clock, seconds: float = _SLICE_SECONDS) -> None:
        self._clock = clock
        self._seconds = seconds
        # Its waiters are served in order: this is what makes computations take turns.
        self._next = asyncio.Lock()

    def begin(self) -> "Turn":
        """Return the first turn of a computation; its slice begins now."""
        return Turn(self)

    @property
    def end(self) -> float:
        """When a slice that begins now is over, by the monotonic clock."""
        return self._clock.monotonic() + self._seconds

    @property
    def now(self) -> float:
        """The monotonic clock's time."""
        return self._clock.monotonic()

    async def pause(self) -> None:
        """Let the others run."""
        async with self._next:
            await asyncio.sleep(0)


class Turn:
    """The turns of one computation."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._end = turns.end

    async def pause_if_over(self) -> None:
        """Let the others run if the slice is over, and begin another one."""
        if self._turns.now >= self._end:
            await self._turns.pause()
            self._end = self._turns.end
