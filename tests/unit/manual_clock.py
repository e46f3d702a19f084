"""A clock that tests set."""

import asyncio
from datetime import UTC, datetime, timedelta

START = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


class ManualClock:
    """Stands still until it is moved on, or somebody sleeps by it: that takes no time, and moves it on."""

    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self._passed = 0.0
        self.slept: list[float] = []
        """The seconds of every sleep, in order."""

    def now(self) -> datetime:
        """Give the calendar time, in UTC."""
        return self._start + timedelta(seconds=self._passed)

    def monotonic(self) -> float:
        """Give the seconds it was moved on."""
        return self._passed

    async def sleep(self, seconds: float) -> None:
        """Move on by that many seconds, and let others run."""
        self.slept.append(seconds)
        self.advance(seconds)
        await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        """Move on."""
        self._passed += seconds
