"""How often a tenant may do something."""

import pytest
from unit.manual_clock import ManualClock

from memstream.ingest.allowances import Allowance
from memstream.runtime.errors import Overloaded


async def test_what_is_spent_comes_back_evenly() -> None:
    clock = ManualClock()
    allowance = Allowance(4, 40.0, clock, name="erasures_per_day")
    for _ in range(4):
        allowance.spend("acme")

    with pytest.raises(Overloaded, match="erasures_per_day of 4") as refused:
        allowance.spend("acme")

    assert refused.value.retry_after == pytest.approx(10.0)
    clock.advance(10.5)
    allowance.spend("acme")
    with pytest.raises(Overloaded):
        allowance.spend("acme")


def test_tenants_do_not_spend_of_each_other() -> None:
    allowance = Allowance(1, 60.0, ManualClock(), name="n")
    allowance.spend("acme")

    allowance.spend("globex")
