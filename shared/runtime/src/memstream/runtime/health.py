"""Health: whether a process makes progress (live), and whether it can serve (ready)."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from memstream.runtime.clock import Clock
from memstream.runtime.errors import MemstreamError
from memstream.runtime.shared_call import SharedCall

Check = Callable[[], Awaitable[None]]
"""Returns if a part is healthy, raises a MemstreamError if it is not."""


class Pulse:
    """The heartbeat of a loop: one beat a round. It has stopped after `max_silence` seconds without a beat."""

    def __init__(self, clock: Clock, max_silence: float) -> None:
        self._clock = clock
        self._max_silence = max_silence
        self._last = clock.monotonic()

    def beat(self) -> None:
        """Record a round of the loop."""
        self._last = self._clock.monotonic()

    def silence(self) -> float:
        """Return the seconds since the last beat."""
        return self._clock.monotonic() - self._last

    @property
    def stopped(self) -> bool:
        """Whether the last beat is longer ago than `max_silence`."""
        return self.silence() > self._max_silence


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of a health check: for each part "ok", or its fault."""

    parts: dict[str, str] = field(default_factory=dict)

    @property
    def healthy(self) -> bool:
        """Whether no part has a fault."""
        return all(state == "ok" for state in self.parts.values())


class Health:
    """Collects the pulses and checks of a process, and runs them."""

    def __init__(self, clock: Clock, *, within: float = 2.0) -> None:
        """`within` is how long a check may take, in seconds."""
        self._clock = clock
        self._within = within
        self._pulses: dict[str, Pulse] = {}
        self._checks: dict[str, Check] = {}
        self._ready = SharedCall(self._run_all)

    def pulse(self, name: str, max_silence: float) -> Pulse:
        """Return the pulse of a loop; without a beat for `max_silence` seconds, this process is not live."""
        self._pulses[name] = Pulse(self._clock, max_silence)
        return self._pulses[name]

    def check(self, name: str, check: Check) -> None:
        """Add a check that must pass for this process to be ready."""
        self._checks[name] = check

    def live(self) -> Verdict:
        """Return whether every loop makes progress."""
        return Verdict(
            {
                name: f"silent for {pulse.silence():.0f} s" if pulse.stopped else "ok"
                for name, pulse in self._pulses.items()
            }
        )

    async def ready(self) -> Verdict:
        """Run all checks at once, and once for all who ask at the same time: anybody may ask, without a key."""
        return await self._ready()

    async def _run_all(self) -> Verdict:
        states = await asyncio.gather(*map(self._run, self._checks.values()))
        return Verdict(dict(zip(self._checks, states, strict=True)))

    async def _run(self, check: Check) -> str:
        try:
            async with asyncio.timeout(self._within):
                await check()
        except TimeoutError:
            return f"no answer within {self._within:g} s"
        except MemstreamError as error:
            return str(error)
        return "ok"
