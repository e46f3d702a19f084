"""Long calculations run beside the event loop: one at a time, fairly over tenants."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from memstream.retriever.admission import ConcurrencyLimiter
from memstream.runtime.deadline import Deadline

ResultT = TypeVar("ResultT")

_WAITING = 10_000
"""Calculations that may wait: more than requests are worked on."""


class Calculations:
    """Runs pure functions in a thread of their own, so that the event loop answers others meanwhile.

    One thread is enough: only one thread of a process runs Python at a time. A function that is one long call of a C
    library would still stop the loop, so each is to be made of short ones.
    """

    def __init__(self) -> None:
        self._limiter = ConcurrencyLimiter(1, _WAITING)
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="calculation")

    async def run(
        self, calculate: Callable[[], ResultT], tenant: str, deadline: Deadline | None = None, *, is_short: bool
    ) -> ResultT:
        """Return what the function returns. A short one is called at once: a thread costs more than it saves.

        Raises:
            Busy: it did not have its turn before the deadline.

        """
        if is_short:
            return calculate()
        async with self._limiter.admitted(deadline, tenant=tenant):
            return await asyncio.get_running_loop().run_in_executor(self._threads, calculate)

    def close(self) -> None:
        """End the thread, after what it does now."""
        self._threads.shutdown(wait=False, cancel_futures=True)
