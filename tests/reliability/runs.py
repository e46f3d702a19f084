"""Makes a run on a site and validates its history."""

import contextlib
import shutil
import traceback
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from random import Random

from reliability.fault_injection import FaultInjector
from reliability.history import Found, History, Sent
from reliability.observation import answered, observe
from reliability.plans import Plan
from reliability.reads import Reader
from reliability.report import Outcome, outcome_of
from reliability.site import Site
from reliability.traffic import Traffic
from reliability.validators import violations

from memstream.runtime.clock import Clock

_ANSWER_SECONDS = 4.0
"""How long a caller waits; long enough for what is slow, and shorter than what is stalled."""


async def make_run(plan: Plan, site: Site, clock: Clock, kept: Path) -> tuple[Outcome, History]:
    """Make a run, validate it, and return its outcome. History and logs of one that fails are put into a folder."""
    start = clock.monotonic()
    history = History(now=lambda: clock.monotonic() - start)
    failure: str | None = None
    try:
        await _carry_out(plan, site, history, clock)
    except Exception as error:  # noqa: BLE001 - whatever keeps a run from its end is a finding, to be kept with its logs
        failure = "".join(traceback.format_exception(error))
    # Without the reads at the end, the history shows nothing.
    broken = violations(history) if failure is None else [f"the run did not come to its end: {failure}"]
    if broken:
        keep(history, site, broken, kept)
    return outcome_of(plan, history, broken, clock.monotonic() - start), history


async def _carry_out(plan: Plan, site: Site, history: History, clock: Clock) -> None:
    site.history = history
    chance = Random(plan.seed)  # noqa: S311 - nothing secret is made from it
    injector = FaultInjector(site)

    def begin(number: int) -> None:
        for fault in plan.injections.get(number, ()):
            injector.inject(fault)

    async with reading(site) as reader:
        try:
            await Traffic(reader, history, clock, chance, begin).run(plan.operations)
            await injector.settled()
            # Moments that have not come may come while the backlog is processed.
            await site.mend()
            await site.worked_off()
        finally:
            await injector.finish()
        await site.mend()
        await site.worked_off()
        await observe(history, reader, site.parts.redis, plan.prefix, chance)


@contextlib.asynccontextmanager
async def reading(site: Site) -> AsyncIterator[Reader]:
    """Make clients that wait only for so long."""
    parts = site.parts
    async with (
        site.client("ingest", timeout=_ANSWER_SECONDS) as ingest,
        site.client("retriever", timeout=_ANSWER_SECONDS) as retriever,
        parts.qdrant(timeout=_ANSWER_SECONDS) as qdrant,
    ):
        yield Reader(ingest, retriever, qdrant, parts.plan.collection, site.consistency)


def keep(history: History, site: Site, broken: list[str], folder: Path) -> None:
    """Write down what is needed to see why a run failed."""
    folder.mkdir(parents=True, exist_ok=True)
    history.write(folder / "history.jsonl")
    (folder / "violations.txt").write_text("\n".join(broken) + "\n")
    for name, log in site.logs():
        shutil.copy(log, folder / name)


async def still_true(history: History, site: Site) -> list[str]:
    """Validate an earlier run again by what is in Qdrant now: nothing of it has gone, and nothing come back."""
    async with reading(site) as reader:
        users = sorted({sent.user for sent in history.of(Sent) if sent.valid})
        points = await answered(partial(reader.points, users))
    later = History([(at, record) for at, record in history.records if not isinstance(record, Found)])
    for point in points:
        later.add(point)
    return violations(later)
