"""A test of one run: it is made, judged and reported, and what it takes to see why it failed is told."""

from collections.abc import Callable, Mapping

from reliability.conftest import Sites
from reliability.plans import Plan, ShapeName
from reliability.report import Outcome
from reliability.runs import make_run

from memstream.runtime.clock import SystemClock

Tell = Callable[[Outcome], None]

_AGAIN: Mapping[ShapeName, str] = {
    "short": "test_faults.py -k whatever_strikes",
    "big": "test_faults.py -k thousands",
    "erasure": "test_faults.py -k erased_under_load",
    "machines": "test_machines.py --plan machines --qdrant-binary FILE",
}

_KEPT_SECONDS = 300
"""For so long ingest keeps what it knows of the deletion of a message that nobody had."""


async def judge(plan: Plan, sites: Sites, tell: Tell, kind: str = "") -> None:
    """Make a run, and fail if it has violations; `kind` is that of its servers, where there are several."""
    site = await sites.lend()
    kept = sites.kept / "-".join(filter(None, (plan.shape, kind, str(plan.seed))))
    outcome, history = await make_run(plan, site, SystemClock(), kept)
    tell(outcome)
    if outcome.violations:
        await sites.give_up()
    else:
        sites.held(history)
    again = f"python -m pytest tests/reliability/{_AGAIN[plan.shape]} --seed {plan.seed} --runs 1"
    told = [*outcome.violations, f"history and logs are in {kept}; the same again: {again}"]
    if outcome.seconds > _KEPT_SECONDS:
        told.append(
            f"it took {outcome.seconds:.0f} s: receipts for messages that nobody had are gone by then, and unknown"
        )
    assert not outcome.violations, "\n".join(told)
