"""Observing embedders while they process a backlog."""

import time
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.backlog import Progress, Ticks, progress
from benchmarks.command import say
from benchmarks.site import Failed, Site, Usage
from memstream.contracts.keys import Lane

_PERIOD = 0.5
_TOLD_EVERY = 15.0
_SLOTS_EVERY = 4


@dataclass(frozen=True, slots=True)
class Window:
    """The observations of a steady window."""

    samples: list[tuple[float, int]]
    """Seconds since the workers were ready, and messages acknowledged by then; the warm-up included."""
    seconds: float
    """Length of the window, the warm-up left out."""
    messages: int
    """Messages acknowledged within it."""
    refused_before: int
    """Calls that the provider refused during the warm-up."""
    refused: int
    """Calls that it refused within the window."""
    cpu_seconds: dict[str, float]
    """The cost of each part within the window."""

    slots: list[tuple[float, list[int]]]
    """Seconds since the workers were ready, and each worker's maximum of concurrent calls then."""

    @property
    def per_second(self) -> float:
        """Messages acknowledged per second."""
        return self.messages / self.seconds

    def document(self) -> dict[str, Any]:
        """Return the observations, for a record."""
        return asdict(self)

    def cpu_of(self, *names: str) -> float:
        """Return the total CPU seconds of some parts."""
        return sum(self.cpu_seconds[name] for name in names)


@dataclass(frozen=True, slots=True)
class _Sample:
    progress: Progress
    usage: dict[str, Usage]
    slots: list[int]
    """For each worker; not with every sample."""


async def observe(site: Site, lane: Lane, *, warm_up: float, seconds: float, least: float | None = None) -> Window:
    """Let ready workers work for a while, and observe them after the warm-up.

    The window ends when the backlog ends, because after that it is not the embedder that limits the rate.

    Raises:
        Failed: the backlog ended when the window was shorter than `least` seconds (half of it), or a part ended.

    """
    ready = time.perf_counter()
    samples = await _sample(site, lane, until=ready + warm_up)
    first, before = samples[-1], await site.refused()
    samples += await _sample(site, lane, until=time.perf_counter() + seconds)
    last, after = samples[-1], await site.refused()
    took = last.progress.at - first.progress.at
    if took < (seconds / 2 if least is None else least):
        raise Failed(f"the backlog ended after {last.progress.at - ready:.1f} s: it needs more messages")
    return Window(
        [(round(sample.progress.at - ready, 3), sample.progress.acknowledged) for sample in samples],
        took,
        last.progress.acknowledged - first.progress.acknowledged,
        before,
        after - before,
        {name: usage.cpu_seconds - first.usage[name].cpu_seconds for name, usage in last.usage.items()},
        [(round(sample.progress.at - ready, 3), sample.slots) for sample in samples if sample.slots],
    )


async def _sample(site: Site, lane: Lane, *, until: float) -> list[_Sample]:
    """Take samples as long as there is a backlog."""
    samples: list[_Sample] = []
    ticks = Ticks(_PERIOD)
    told = time.perf_counter()
    while not samples or samples[-1].progress.at < until:
        await ticks.wait()
        site.require_alive()
        slots = await site.slots() if len(samples) % _SLOTS_EVERY == 0 else []
        now = _Sample(await progress(site, lane), site.usage(), slots)
        if not now.progress.left and samples:
            break
        samples.append(now)
        if now.progress.at - told >= _TOLD_EVERY:
            first, told = samples[0].progress, now.progress.at
            rate = (now.progress.acknowledged - first.acknowledged) / (told - first.at)
            say(f"  {now.progress.acknowledged:,} done, {now.progress.left:,} left, {rate:,.0f} messages/s")
    return samples
