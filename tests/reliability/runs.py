"""Makes a run on a site and judges its history."""

import contextlib
import shutil
import traceback
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from random import Random

import httpx
from reliability.history import Found, History, Sent
from reliability.looking import Look
from reliability.observation import answered, observe
from reliability.plans import Plan
from reliability.report import Outcome, outcome_of
from reliability.site import Site
from reliability.striking import Striker
from reliability.traffic import Traffic
from reliability.validators import violations

from memstream.runtime.clock import Clock

_ANSWER_SECONDS = 4.0
"""How long a caller waits; long enough for what is slow, and shorter than what is stalled."""


async def make_run(plan: Plan, site: Site, clock: Clock, kept: Path) -> tuple[Outcome, History]:
    """Make a run, judge it, and give what came of it. History and logs of one that fails are put into a folder."""
    start = clock.monotonic()
    history = History(now=lambda: clock.monotonic() - start)
    failure: str | None = None
    try:
        await _carry_out(plan, site, history, clock)
    except Exception as error:  # noqa: BLE001 - whatever keeps a run from its end is a finding, to be kept with its logs
        failure = "".join(traceback.format_exception(error))
    # What wasn't looked at in the end tells nothing.
    broken = violations(history) if failure is None else [f"the run did not come to its end: {failure}"]
    if broken:
        keep(history, site, broken, kept)
    return outcome_of(plan, history, broken, clock.monotonic() - start), history


async def _carry_out(plan: Plan, site: Site, history: History, clock: Clock) -> None:
    site.history = history
    chance = Random(plan.seed)  # noqa: S311 - nothing secret is made from it
    striker = Striker(site)

    def begin(number: int) -> None:
        for fault in plan.strikes.get(number, ()):
            striker.strike(fault)

    async with looking(site) as look:
        try:
            await Traffic(look, history, clock, chance, begin).run(plan.orders)
            await striker.settled()
            # Moments that have not come may come while it is worked off.
            await site.mend()
            await site.worked_off()
        finally:
            await striker.finish()
        await site.mend()
        await site.worked_off()
        await observe(history, look, site.parts.redis, plan.prefix, chance)


@contextlib.asynccontextmanager
async def looking(site: Site) -> AsyncIterator[Look]:
    """Make clients that wait only for so long."""
    parts = site.parts
    async with (
        parts.client("ingest-1", timeout=_ANSWER_SECONDS) as ingest,
        parts.client("retriever-1", timeout=_ANSWER_SECONDS) as retriever,
        httpx.AsyncClient(base_url=parts.url("qdrant"), timeout=_ANSWER_SECONDS) as qdrant,
    ):
        yield Look(ingest, retriever, qdrant)


def keep(history: History, site: Site, broken: list[str], folder: Path) -> None:
    """Write down what is needed to see why a run failed."""
    folder.mkdir(parents=True, exist_ok=True)
    history.write(folder / "history.jsonl")
    (folder / "violations.txt").write_text("\n".join(broken) + "\n")
    for log in site.parts.plan.directory.path.glob("*.log"):
        shutil.copy(log, folder / log.name)


async def still_true(history: History, site: Site) -> list[str]:
    """Judge an earlier run again by what is in Qdrant now: nothing of it has gone, and nothing come back."""
    async with looking(site) as look:
        users = sorted({sent.user for sent in history.of(Sent) if sent.valid})
        points = await answered(partial(look.points, users))
    later = History([(at, record) for at, record in history.records if not isinstance(record, Found)])
    for point in points:
        later.add(point)
    return violations(later)
