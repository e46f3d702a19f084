"""Sweeping what has expired."""

from unit.manual_clock import ManualClock
from unit.memory_store import InMemoryStore

from memstream.contracts.tenants import TenantPolicy
from memstream.embedder.expiry_sweep import ExpirySweep
from memstream.runtime.health import Pulse
from memstream.streams.connections import connect
from memstream.streams.tenant_policies import TenantPolicies
from memstream.vectors.store import Sweepable


class ManyTenants(TenantPolicies):
    """A hundred tenants that keep messages for a day."""

    async def all(self) -> dict[str, TenantPolicy]:
        """Return what holds for them."""
        return {f"tenant-{number}": TenantPolicy(retention_days=1) for number in range(100)}

    async def defaults(self) -> TenantPolicy:
        """Return what holds for others."""
        return TenantPolicy()


async def test_a_sweep_that_takes_long_shows_that_it_goes_on() -> None:
    clock = ManualClock()
    pulse = Pulse(clock, 30.0)

    class Slow(InMemoryStore):
        async def sweep(self, which: Sweepable, count: int) -> int:
            assert not pulse.stopped
            clock.advance(20)
            return await super().sweep(which, count)

    store = Slow()
    await ExpirySweep(store, ManyTenants(connect("redis://127.0.0.1:1/0"), clock), clock, pulse.beat).remove_expired()

    assert store.asked == 101
