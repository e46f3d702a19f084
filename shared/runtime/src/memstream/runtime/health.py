"""Whether a process makes progress (live), and whether it can serve (ready)."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from memstream.runtime.clock import Clock
from memstream.runtime.errors import MemstreamError

Check = Callable[[], Awaitable[None]]
"""Returns when its part is well, raises a MemstreamError when it isn't."""


class Pulse:
    """The heartbeat of a loop: it beats once a round, and may be silent for so long."""

    def __init__(self, clock: Clock, max_silence: float) -> None:
        self._clock = clock
        self._max_silence = max_silence
        self._last = clock.monotonic()

    def beat(self) -> None:
        """Say that a round was done."""
        self._last = self._clock.monotonic()

    def silence(self) -> float:
        """Give the seconds since the last beat."""
        return self._clock.monotonic() - self._last

    @property
    def stopped(self) -> bool:
        """It was silent for longer than it may."""
        return self.silence() > self._max_silence


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer of a health question: each part's trouble, or "ok"."""

    parts: dict[str, str] = field(default_factory=dict)

    @property
    def well(self) -> bool:
        """No part has trouble."""
        return all(state == "ok" for state in self.parts.values())


class Health:
    """Collects pulses and checks where the parts are made, and asks them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pulses: dict[str, Pulse] = {}
        self._checks: dict[str, Check] = {}

    def pulse(self, name: str, max_silence: float) -> Pulse:
        """Make the pulse of a loop; this process is not live once it is silent for `max_silence` seconds."""
        self._pulses[name] = Pulse(self._clock, max_silence)
        return self._pulses[name]

    def check(self, name: str, check: Check) -> None:
        """Add what must be well for this process to be ready."""
        self._checks[name] = check

    def live(self) -> Verdict:
        """Say whether every loop makes progress."""
        return Verdict(
            {
                name: f"silent for {pulse.silence():.0f} s" if pulse.stopped else "ok"
                for name, pulse in self._pulses.items()
            }
        )

    async def ready(self, within: float = 2.0) -> Verdict:
        """Ask every part, all at once, for at most `within` seconds."""
        states = await asyncio.gather(*(self._ask(check, within) for check in self._checks.values()))
        return Verdict(dict(zip(self._checks, states, strict=True)))

    async def _ask(self, check: Check, within: float) -> str:
        try:
            async with asyncio.timeout(within):
                await check()
        except TimeoutError:
            return f"no answer within {within:g} s"
        except MemstreamError as error:
            return str(error)
        return "ok"
