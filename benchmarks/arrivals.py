"""Open-loop requests: a slow answer doesn't delay the requests after it, so it can't hide their wait.

Times are those of `time.perf_counter`: uvloop's own clock has whole milliseconds, and stands still within an iteration.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

Act = Callable[[int, float], Coroutine[Any, Any, None]]
"""Sends one request, given its number and the time by `perf_counter` at which it was due."""


class Arrivals:
    """A Poisson process with this many requests a second; the same times in every run with this seed."""

    def __init__(self, rate: float, seed: int) -> None:
        self._rate = rate
        self._chance = Random(seed)  # noqa: S311 - nothing secret is made from it
        self.sent = 0

    async def run(self, act: Act, *, until: Callable[[], bool]) -> None:
        """Start a request at each time until told to stop, and return when all have ended."""
        due = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            while not until():
                due += self._chance.expovariate(self._rate)
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                tasks.create_task(act(self.sent, due))
                self.sent += 1
