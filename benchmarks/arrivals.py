"""Requests that come when they come: open loop, so that a slow answer holds nothing up and hides nothing.

Times are those of `time.perf_counter`: uvloop's own clock tells whole milliseconds, and stands still within a turn.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

Act = Callable[[int, float], Coroutine[Any, Any, None]]
"""Does one request, told its number and the time by `perf_counter` that it was due at."""


class Arrivals:
    """A Poisson process of so many requests a second; the same moments in every run with this seed."""

    def __init__(self, rate: float, seed: int) -> None:
        self._rate = rate
        self._chance = Random(seed)  # noqa: S311 - nothing secret is made from it
        self.sent = 0

    async def run(self, act: Act, *, until: Callable[[], bool]) -> None:
        """Start a request at each moment until told to stop, and come back when all have ended."""
        due = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            while not until():
                due += self._chance.expovariate(self._rate)
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                tasks.create_task(act(self.sent, due))
                self.sent += 1
