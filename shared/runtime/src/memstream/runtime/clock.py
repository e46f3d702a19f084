"""The clock, which is passed in. No other module reads the time of the operating system."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Reads the time, and sleeps."""

    def now(self) -> datetime:
        """Return the calendar time, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds since an arbitrary point; they never decrease."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds."""
        ...


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """Return the calendar time, in UTC."""
        return datetime.now(UTC)  # noqa: TID251 - the one place that reads the clock

    def monotonic(self) -> float:
        """Return seconds since an arbitrary point; they never decrease."""
        return time.monotonic()  # noqa: TID251 - the one place that reads the clock

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds."""
        await asyncio.sleep(seconds)
