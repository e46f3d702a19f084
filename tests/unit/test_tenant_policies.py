"""What holds for a tenant: what is set for it, and the defaults for the rest."""

from datetime import timedelta

import pytest
from pydantic import ValidationError
from unit.manual_clock import START

from memstream.contracts.tenants import TenantPolicy, TenantPolicyIn


def test_what_is_set_for_a_tenant_goes_before_the_defaults() -> None:
    own = TenantPolicy(messages_per_second=5, stored_messages=0)
    defaults = TenantPolicy(messages_per_second=1, stored_messages=9, retention_days=30)

    assert own.over(defaults) == TenantPolicy(messages_per_second=5, stored_messages=0, retention_days=30)


def test_without_anything_set_nothing_is_limited() -> None:
    assert set(TenantPolicy().over(TenantPolicy()).model_dump().values()) == {None}


def test_retention_counts_from_the_time_of_recording() -> None:
    assert TenantPolicy().recorded_since(START) is None
    assert TenantPolicy(retention_days=0.5).recorded_since(START) == START - timedelta(hours=12)
    assert TenantPolicy(retention_days=36_500).recorded_since(START) is not None


@pytest.mark.parametrize(
    "fields",
    [
        {"messages_per_second": 0},
        {"searches_per_second": -1},
        {"stored_messages": -1},
        {"backlog_share": 1.5},
        {"backlog_share": 0},
        {"retention_days": 0},
        {"retention_days": 1e9},
        {"messages_per_second": float("inf")},
        {"messages_per_secnod": 1},
        {"tenant": "no slash/here"},
    ],
)
def test_a_limit_that_can_not_be_meant_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TenantPolicyIn.model_validate({"tenant": None, **fields})


def test_defaults_are_not_set_by_leaving_the_tenant_out() -> None:
    with pytest.raises(ValidationError):
        TenantPolicyIn.model_validate({"messages_per_second": 1})
