"""When dead-lettering stops."""

from hypothesis import given
from hypothesis import strategies as st

from memstream.embedder.breaker import Breaker, BreakerPolicy

POLICY = BreakerPolicy(window=100, least=20, share=0.5, pause=10.0)


def dead_lettered(breaker: Breaker, messages: int, now: float = 0.0) -> int:
    """Try to dead-letter messages at one moment; return how many could be."""
    return sum(breaker.wait(now) == 0.0 for _ in range(messages))


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
        assert breaker.wait(0.0) == 0.0


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
