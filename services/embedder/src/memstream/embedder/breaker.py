"""A circuit breaker: it keeps an outage that looks like bad messages from filling the dead letters.

A few messages can't be stored, whatever is done. When most can't, something they all need is probably broken in a way
that nobody foresaw. Then it is better to pause and report it than to dead-letter them. But if they are those of one
tenant, while others' are stored, only that tenant is paused, and nothing is reported.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, replace

from memstream.embedder.dependencies import DependencyFaults
from memstream.runtime.clock import Clock
from memstream.runtime.errors import GlobalFault

DEAD_LETTERS = "the dead letters"
"""The dependency that is reported to fail while the breaker is open."""

_TENANT_PAUSE = 1.0
"""Seconds between two dead letters of a tenant most of whose messages die, while those of others are stored."""

_TENANTS = 1000
"""Tenants whose latest outcomes are remembered, of those that had dead letters."""


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """The breaker opens when of the last `window` messages at least `least`, and more than `share`, died."""

    window: int = 200
    least: int = 20
    share: float = 0.5
    pause: float = 10.0
    """Seconds between two dead letters while it is open. One success doesn't close it, one more failure costs one."""


class Breaker:
    """Looks at the latest outcomes. Pure: the time is passed in."""

    def __init__(self, policy: BreakerPolicy) -> None:
        self._policy = policy
        self._latest: deque[tuple[str, bool]] = deque(maxlen=policy.window)
        self._next_at = 0.0

    @property
    def is_open(self) -> bool:
        """Most of the latest messages died, and of most tenants that they belong to, most died."""
        dead = Counter(tenant for tenant, died in self._latest if died)
        if dead.total() < self._policy.least or dead.total() <= self._policy.share * len(self._latest):
            return False
        all_of = Counter(tenant for tenant, _ in self._latest)
        failing = sum(dead[tenant] > self._policy.share * number for tenant, number in all_of.items())
        return failing > self._policy.share * len(all_of)

    def note_stored(self, messages: int, tenant: str = "") -> None:
        """Note messages that were stored."""
        self._latest.extend([(tenant, False)] * messages)

    def note_dead(self, now: float, tenant: str = "") -> None:
        """Note a message that is dead-lettered now."""
        if self.is_open:
            self._next_at = now + self._policy.pause
        self._latest.append((tenant, True))

    def wait(self, now: float) -> float:
        """Return the seconds until a message may be dead-lettered, 0 if one may be now."""
        return max(0.0, self._next_at - now) if self.is_open else 0.0


class DeadLetterGate:
    """Asked before a message is dead-lettered. While the breaker is open, it reports that, and lets few pass."""

    def __init__(self, policy: BreakerPolicy, faults: DependencyFaults, clock: Clock) -> None:
        self._breaker = Breaker(policy)
        self._tenant_policy = replace(policy, pause=_TENANT_PAUSE)
        self._tenants: OrderedDict[str, Breaker] = OrderedDict()
        self._faults = faults
        self._clock = clock

    def wait(self, tenant: str) -> float:
        """Return the seconds until a message of a tenant may be dead-lettered, 0 if one may be now."""
        now, own = self._clock.monotonic(), self._tenants.get(tenant)
        return max(self._breaker.wait(now), own.wait(now) if own is not None else 0.0)

    def passes(self, tenant: str, reason: str) -> bool:
        """Return whether a message may be dead-lettered now; if so, count it."""
        if self.wait(tenant):
            if self._breaker.is_open:
                self._faults.report(
                    GlobalFault(DEAD_LETTERS, f"most messages would end there, the latest for: {reason}")
                )
            return False
        now = self._clock.monotonic()
        self._breaker.note_dead(now, tenant)
        own = self._tenants.setdefault(tenant, Breaker(self._tenant_policy))
        own.note_dead(now, tenant)
        self._tenants.move_to_end(tenant)
        if len(self._tenants) > _TENANTS:
            self._tenants.popitem(last=False)
        return True

    def note_stored(self, tenants: Iterable[str]) -> None:
        """Note the tenant of each message that was stored; enough of them close the breaker."""
        for tenant, messages in Counter(tenants).items():
            self._breaker.note_stored(messages, tenant)
            if tenant in self._tenants:
                self._tenants[tenant].note_stored(messages, tenant)
        if not self._breaker.is_open:
            self._faults.clear(DEAD_LETTERS)
