"""Time, passed in: the one module that asks the operating system for it."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What time it is, and how to let it pass."""

    def now(self) -> datetime:
        """Give the calendar time, in UTC."""
        ...

    def monotonic(self) -> float:
        """Give seconds since some point; never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Come back after that many seconds."""
        ...


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """Give the calendar time, in UTC."""
        return datetime.now(UTC)  # noqa: TID251 - here is where the clock is read

    def monotonic(self) -> float:
        """Give seconds since some point; never goes back."""
        return time.monotonic()  # noqa: TID251 - here is where the clock is read

    async def sleep(self, seconds: float) -> None:
        """Come back after that many seconds."""
        await asyncio.sleep(seconds)
