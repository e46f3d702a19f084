"""When dead-lettering stops."""

from hypothesis import given
from hypothesis import strategies as st
from unit.manual_clock import ManualClock

from memstream.embedder.breaker import Breaker, BreakerPolicy, DeadLetterGate
from memstream.embedder.dependencies import DependencyFaults

POLICY = BreakerPolicy(window=100, least=20, share=0.5, pause=10.0)


def dead_lettered(breaker: Breaker, messages: int, now: float = 0.0) -> int:
    """Try to dead-letter messages at one moment; return how many could be."""
    passed = 0
    for _ in range(messages):
        if breaker.wait(now) == 0.0:
            breaker.note_dead(now)
            passed += 1
    return passed


@given(st.integers(0, 1000))
def test_in_an_outage_only_a_few_are_dead_lettered(messages: int) -> None:
    breaker = Breaker(POLICY)

    # The one more is the trial that an open breaker allows.
    assert dead_lettered(breaker, messages) <= POLICY.least + 1


@given(st.lists(st.integers(1, 8), min_size=30, max_size=100))
def test_poison_among_many_that_are_stored_never_opens_it(stored: list[int]) -> None:
    breaker = Breaker(POLICY)
    for messages in stored:
        breaker.note_stored(messages)
        assert dead_lettered(breaker, 1) == 1


def test_while_open_one_may_be_dead_lettered_now_and_then() -> None:
    breaker = Breaker(POLICY)
    dead_lettered(breaker, 100)

    assert breaker.is_open
    assert breaker.wait(4.0) == 6.0
    assert dead_lettered(breaker, 5, 10.0) == 1
    assert breaker.wait(10.0) == 10.0


def test_it_closes_when_messages_are_stored_again() -> None:
    breaker = Breaker(POLICY)
    dead_lettered(breaker, 100)
    breaker.note_stored(21)

    assert not breaker.is_open
    assert breaker.wait(0.0) == 0.0


def gate(clock: ManualClock) -> tuple[DeadLetterGate, DependencyFaults]:
    """Make a gate, and what it reports."""
    faults = DependencyFaults()
    return DeadLetterGate(POLICY, faults, clock), faults


def test_one_tenants_poison_delays_only_its_own_dead_letters_and_is_no_fault() -> None:
    clock = ManualClock()
    letters, faults = gate(clock)
    passed = 0
    for _ in range(100):
        letters.note_stored(["other"])
        passed += letters.passes("hostile", "refused")

    assert passed == POLICY.least + 1
    assert letters.wait("hostile") == 1.0
    assert letters.passes("other", "refused")
    assert faults.is_empty
    clock.advance(1.0)
    assert [letters.passes("hostile", "refused") for _ in range(3)] == [True, False, False]


def test_when_the_messages_of_many_tenants_die_it_is_an_outage() -> None:
    letters, faults = gate(ManualClock())

    passed = sum(letters.passes(f"tenant {number}", "refused") for number in range(100))

    assert passed == POLICY.least + 1
    assert not faults.is_empty
    letters.note_stored(f"tenant {number}" for number in range(100))
    assert faults.is_empty


def test_an_installation_with_one_tenant_has_an_outage_when_most_of_its_messages_die() -> None:
    letters, faults = gate(ManualClock())

    assert sum(letters.passes("only", "refused") for _ in range(100)) == POLICY.least + 1
    assert not faults.is_empty
    assert letters.wait("only") == POLICY.pause
