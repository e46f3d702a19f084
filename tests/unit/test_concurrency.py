"""How many calls may be in flight: it finds the level of simulated providers, and doesn't knock in vain."""

from collections.abc import Callable
from math import ceil
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from unit.examples import seeded

from memstream.embedder.concurrency import ConcurrencyController

Seconds = Callable[[int, Random], float]
"""How long a call takes while so many are in flight."""


_PAUSE = 0.1
"""Seconds after which a refused call is made again."""


class Provider:
    """Calls at once up to a number are answered; more are refused. As many are always made as may be."""

    def __init__(
        self, concurrency: ConcurrencyController, seconds: Seconds, most: int = 10_000, *, chance: Random
    ) -> None:
        self.concurrency = concurrency
        self.seconds = seconds
        self.most = most
        self.chance = chance
        self.refusals: list[float] = []
        self.now = 0.0
        self._in_flight: list[tuple[float, float, bool]] = []

    def run(self, until: float) -> list[int]:
        """Let time pass; give the limit after every answer."""
        limits = []
        while self.now < until:
            while len(self._in_flight) < self.concurrency.limit:
                self._call()
            end, started, answered = min(self._in_flight)
            self._in_flight.remove((end, started, answered))
            self.now = end
            if answered:
                self.concurrency.succeeded(16, end - started, end)
            limits.append(self.concurrency.limit)
        return limits

    def _call(self) -> None:
        self.concurrency.started(len(self._in_flight) + 1, self.concurrency.limit)
        count = 1 + sum(answered for _, _, answered in self._in_flight)
        if count > self.most:
            self.refusals.append(self.now)
            self.concurrency.failed(0.0, self.now, refused=True)
            self._in_flight.append((self.now + _PAUSE, self.now, False))
        else:
            self._in_flight.append((self.now + self.seconds(count, self.chance), self.now, True))


def steady(_: int, chance: Random) -> float:
    """Take 150 ms or so, whatever else is in flight."""
    return 0.15 * chance.lognormvariate(0, 0.2)


def shared(in_flight: int, chance: Random) -> float:
    """Take the longer the more are in flight: two processors do all the work."""
    return 0.05 * max(1, in_flight / 2) * chance.lognormvariate(0, 0.1)


def test_it_starts_low() -> None:
    assert ConcurrencyController(8).limit == 2
    assert ConcurrencyController(1).limit == 1


@example(most=27, seed=250)
@given(st.integers(1, 32), st.integers(0, 1000))
@settings(max_examples=ceil(settings().max_examples / 12))
def test_a_provider_that_takes_them_all_soon_gets_as_many_as_may_be(most: int, seed: int) -> None:
    provider = Provider(ConcurrencyController(most), steady, chance=Random(seed))  # noqa: S311 - nothing secret
    provider.run(60.0)

    assert sum(provider.run(120.0)[-200:]) / 200 > 0.75 * most


@example(allowed=20, seed=8)
@given(st.integers(2, 20), st.integers(0, 1000))
@settings(max_examples=ceil(settings().max_examples / 12))
def test_it_stays_just_below_what_is_refused(allowed: int, seed: int) -> None:
    provider = Provider(ConcurrencyController(64), steady, allowed, chance=Random(seed))  # noqa: S311 - same
    provider.run(60.0)
    early = len(provider.refusals)
    limits = provider.run(150.0)

    assert max(limits) <= allowed + 1
    assert sum(limits) / len(limits) > 0.75 * allowed
    assert len(provider.refusals) <= early + 1, "what was refused before is tried again once at the most"


def test_a_number_that_was_refused_is_tried_again_after_a_while() -> None:
    provider = Provider(ConcurrencyController(64), steady, 8, chance=seeded())
    provider.run(60.0)
    provider.most = 16
    provider.run(1200.0)

    assert provider.concurrency.limit > 12


def test_it_does_not_pile_up_calls_that_only_make_each_other_slower() -> None:
    provider = Provider(ConcurrencyController(64), shared, chance=seeded())
    provider.run(30.0)
    limits = provider.run(60.0)

    assert sum(limits) / len(limits) < 4


@pytest.mark.parametrize("capacity", [8, 16, 40])
def test_it_stays_near_the_number_from_which_on_more_only_make_each_other_slower(capacity: int) -> None:
    def crowded(in_flight: int, chance: Random) -> float:
        return 0.05 * max(1, in_flight / capacity) * chance.lognormvariate(0, 0.2)

    provider = Provider(ConcurrencyController(64), crowded, chance=seeded())
    provider.run(30.0)
    limits = provider.run(60.0)

    assert 0.75 * capacity < sum(limits) / len(limits) < 1.4 * capacity


def test_a_storm_is_forgotten_when_it_is_over() -> None:
    provider = Provider(ConcurrencyController(16), steady, chance=seeded())
    provider.run(30.0)
    for _ in range(500):
        provider.now += 0.5
        provider.concurrency.failed(0.01, provider.now, refused=True)
    assert provider.concurrency.limit == 1
    provider.run(provider.now + 15.0)

    assert provider.concurrency.limit > 12


def test_an_outage_is_forgotten_when_it_is_over() -> None:
    provider = Provider(ConcurrencyController(16), steady, chance=seeded())
    provider.run(30.0)
    for _ in range(100):
        provider.now += 5.0
        provider.concurrency.failed(1.0, provider.now, refused=False)
    assert provider.concurrency.limit == 1
    provider.run(provider.now + 15.0)

    assert provider.concurrency.limit > 12


def test_calls_that_began_before_the_last_cut_say_nothing_new() -> None:
    concurrency = ConcurrencyController(100)
    Provider(concurrency, steady, chance=seeded()).run(60.0)
    before = concurrency.limit
    for _ in range(10):
        concurrency.failed(5.0, 100.0, refused=True)

    assert before * 0.85 < concurrency.limit < before


def test_no_more_are_allowed_than_are_used() -> None:
    concurrency = ConcurrencyController(100)
    for number in range(1000):
        concurrency.started(1, concurrency.limit)
        concurrency.succeeded(16, 0.1, number * 0.1)

    assert concurrency.limit == 2


@pytest.mark.parametrize("sizes", [(1, 128), (128, 1)])
def test_calls_of_another_size_may_take_another_time(sizes: tuple[int, int]) -> None:
    concurrency, now = ConcurrencyController(8), 0.0
    for number in range(400):
        texts = sizes[number // 20 % 2]
        now += 0.01 * texts
        concurrency.started(concurrency.limit, concurrency.limit)
        concurrency.succeeded(texts, 0.01 * texts, now)

    assert concurrency.limit == 8
