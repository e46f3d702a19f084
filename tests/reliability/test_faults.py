"""Faults strike while messages are sent, asked for and deleted: the promise holds, whatever they are."""

import pytest
from reliability.conftest import Sites
from reliability.plans import Plan, ShapeName, draw_plan
from reliability.runs import make_run

from memstream.runtime.clock import SystemClock


@pytest.mark.timeout(300)
async def test_the_promise_holds_whatever_strikes(seed: int, sites: Sites) -> None:
    await _holds(draw_plan(seed), sites)


@pytest.mark.timeout(300)
async def test_the_promise_holds_for_thousands_of_messages_while_each_part_is_killed(
    big_seed: int, sites: Sites
) -> None:
    await _holds(draw_plan(big_seed, "big"), sites)


@pytest.mark.timeout(300)
async def test_nothing_is_lost_or_back_after_later_runs(sites: Sites) -> None:
    assert await sites.changed_later() == []


async def _holds(plan: Plan, sites: Sites) -> None:
    site = await sites.lend()
    kept = sites.kept / f"{plan.shape}-{plan.seed}"
    outcome, history = await make_run(plan, site, SystemClock(), kept)
    sites.outcomes.append(outcome)
    if outcome.violations:
        await sites.give_up()
    else:
        sites.done(history)
    shape: ShapeName = plan.shape
    again = f"python -m pytest tests/reliability/test_faults.py --seed {plan.seed} --runs 1 -k {_NAMES[shape]}"
    assert not outcome.violations, "\n".join(
        [*outcome.violations, f"history and logs are in {kept}; the same again: {again}"]
    )


_NAMES = {"short": "whatever_strikes", "big": "thousands"}
