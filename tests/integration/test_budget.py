"""One budget for all: on a real Redis, whose clock it goes by."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count
from random import Random
from typing import TypeVar

import pytest
from integration.worksite import EMBEDDERS, Worksite, texts
from provider.limits import RateLimits
from provider.script import Latency
from waiting import PATIENCE, until

from memstream.contracts import keys
from memstream.runtime.clock import SystemClock
from memstream.runtime.errors import Unavailable
from memstream.vectors.embeddings.budget import Budget, Charge, Limits, Use
from memstream.vectors.embeddings.quotas import Quota, Quotas

SLOW = Limits(requests=240)
"""A bucket of six."""
REFILL = 0.25
"""Seconds in which such a bucket earns a call."""
Seen = TypeVar("Seen")


@pytest.fixture
async def budget(site: Worksite) -> Budget:
    """Give a budget of a few requests."""
    return Budget(site.redis, "provider", SystemClock(), SLOW)


async def taken(budget: Budget, use: Use, tokens: float = 1.0) -> bool:
    """Say whether a call may be made at once."""
    try:
        await budget.take(use, tokens, max_wait_seconds=0.0)
    except Unavailable:
        return False
    return True


async def test_without_a_limit_nothing_is_asked_of_redis(site: Worksite) -> None:
    budget = Budget(site.redis, "provider", SystemClock(), Limits())
    await budget.take("bulk", 1e9)
    await budget.correct(await budget.take("live", 1), tokens=5, quotas=Quotas())

    assert not await site.redis.exists(keys.budget("provider"))


async def seen_at_once(look: Callable[[str], Awaitable[Seen]]) -> Seen:
    """Return what a look at a provider's budget gives in so short a time that no further call is earned meanwhile.

    One that takes longer, on a busy machine, says nothing, and is taken again with another provider.
    """
    clock = SystemClock()
    ends = clock.monotonic() + PATIENCE
    for number in count():
        started = clock.monotonic()
        seen = await look(f"provider-{number}")
        if clock.monotonic() - started < REFILL or started > ends:
            return seen
    raise AssertionError


async def test_imports_leave_some_to_messages_and_these_to_questions(site: Worksite) -> None:
    async def look(provider: str) -> Counter[Use]:
        budget = Budget(site.redis, provider, SystemClock(), SLOW)
        passed: Counter[Use] = Counter()
        uses: tuple[Use, ...] = ("bulk", "live", "query")
        for use in uses:
            while await taken(budget, use):
                passed[use] += 1
        return passed

    assert await seen_at_once(look) == {"bulk": 3, "live": 1, "query": 2}


async def test_replicas_share_it(site: Worksite) -> None:
    async def look(provider: str) -> int:
        replicas = [Budget(site.redis, provider, SystemClock(), SLOW) for _ in range(2)]
        passed = 0
        while await taken(replicas[passed % 2], "query"):
            passed += 1
        return passed

    assert await seen_at_once(look) == 6


async def test_another_provider_has_a_budget_of_its_own(site: Worksite, budget: Budget) -> None:
    while await taken(budget, "query"):
        pass

    assert await taken(Budget(site.redis, "another", SystemClock(), SLOW), "query")


async def test_over_time_calls_pass_at_the_rate_of_the_limit_and_never_faster(site: Worksite) -> None:
    per_minute = 6000
    budgets = [Budget(site.redis, "fast", SystemClock(), Limits(requests=per_minute)) for _ in range(4)]
    clock, passed = SystemClock(), 0
    started = clock.monotonic()

    async def call(budget: Budget) -> None:
        nonlocal passed
        while passed < 300:
            await budget.take("bulk", 1.0)
            passed += 1

    await asyncio.gather(*(call(budget) for budget in budgets))
    allowed = per_minute / 60 * (clock.monotonic() - started) + per_minute / 40

    assert passed <= allowed + 1


async def test_a_call_larger_than_the_bucket_passes_and_is_paid_off(site: Worksite) -> None:
    budget = Budget(site.redis, "small", SystemClock(), Limits(tokens=40_000))

    assert await taken(budget, "bulk", 20_000)
    assert not await taken(budget, "query")


async def test_what_a_call_really_took_is_settled(site: Worksite) -> None:
    async def look(provider: str) -> list[bool]:
        budget = Budget(site.redis, provider, SystemClock(), Limits(tokens=240))
        charge = await budget.take("query", 1)
        await budget.correct(charge, tokens=6, quotas=Quotas())
        before = await taken(budget, "query")
        await budget.correct(charge, tokens=-4, quotas=Quotas())
        return [before, await taken(budget, "query")]

    assert await seen_at_once(look) == [False, True]


async def test_a_limit_the_provider_tells_of_holds_from_then_on(site: Worksite) -> None:
    async def look(provider: str) -> list[bool]:
        budget = Budget(site.redis, provider, SystemClock(), Limits())
        charge = await budget.take("live", 1)
        await budget.correct(charge, tokens=1, quotas=Quotas(requests=Quota(240, 239)))
        return [await taken(budget, "query") for _ in range(7)]

    assert await seen_at_once(look) == [True] * 6 + [False]


async def test_what_the_provider_has_left_counts_when_it_is_less(site: Worksite) -> None:
    async def look(provider: str) -> list[bool]:
        budget = Budget(site.redis, provider, SystemClock(), Limits())
        charge = await budget.take("live", 1)
        await budget.correct(charge, tokens=1, quotas=Quotas(requests=Quota(240, 1)))
        return [await taken(budget, "query") for _ in range(2)]

    assert await seen_at_once(look) == [True, False]


async def test_who_is_asked_to_wait_keeps_everybody_away(site: Worksite, budget: Budget) -> None:
    other = Budget(site.redis, "provider", SystemClock(), SLOW)
    await budget.correct(await budget.take("bulk", 1), tokens=None, quotas=Quotas(), retry_after=3600.0)

    with pytest.raises(Unavailable) as caught:
        await other.take("query", 1, max_wait_seconds=1.0)
    assert 3600.0 - PATIENCE < (caught.value.retry_after or 0) <= 3600.0


async def test_calls_under_way_hold_permits_and_an_import_leaves_one_free(site: Worksite) -> None:
    budget = Budget(site.redis, "permits", SystemClock(), Limits(calls=3))
    charges = [await budget.take("bulk", 1) for _ in range(2)]
    assert not await taken(budget, "bulk")
    assert await taken(budget, "live")
    assert not await taken(budget, "query")
    await budget.correct(charges[0], tokens=None, quotas=Quotas())

    assert await taken(budget, "query")


async def test_a_permit_becomes_free_when_its_call_must_have_ended(site: Worksite) -> None:
    budget = Budget(site.redis, "permits", SystemClock(), Limits(calls=1), call_seconds=1.0)
    await budget.take("live", 1)
    assert not await taken(budget, "live")

    await asyncio.wait_for(budget.take("live", PATIENCE), PATIENCE)


class Calls:
    """Two callers of one process that make calls one after the other, on a single permit: one of them always waits."""

    def __init__(self, site: Worksite, use: Use) -> None:
        self.made = 0
        self.transfers = 0
        self._site = site
        self._budget = one_permit(site)
        self._use: Use = use
        self._go_on = True

    async def _call(self) -> None:
        while self._go_on:
            charge = await self._budget.take(self._use, 1)
            self.made += 1
            self.transfers = max(self.transfers, charge.transfers)
            # A call takes some time.
            for _ in range(3):
                await self._site.redis.ping()
            await self._budget.correct(charge, tokens=None, quotas=Quotas())

    @contextlib.asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        """Make calls for as long as the context is open."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(2):
                tasks.create_task(self._call())
            try:
                yield
            finally:
                self._go_on = False


def one_permit(site: Worksite) -> Budget:
    """Give the budget of a process, with a single permit for all of them."""
    return Budget(site.redis, "permits", SystemClock(), Limits(calls=1))


async def test_the_permit_of_a_call_that_ends_is_transferred_within_the_process_a_few_times(site: Worksite) -> None:
    calls = Calls(site, "live")
    async with calls.going_on():
        await until(lambda: calls.made > 100, "they are made")

    assert 1 < calls.transfers <= 16


async def test_whoever_waits_elsewhere_gets_a_turn(site: Worksite) -> None:
    async with Calls(site, "live").going_on():
        other = one_permit(site)
        for _ in range(3):
            charge = await asyncio.wait_for(other.take("live", PATIENCE), PATIENCE)
            await other.correct(charge, tokens=None, quotas=Quotas())


async def test_a_query_elsewhere_goes_before_those_who_transfer_their_permit(site: Worksite) -> None:
    calls = Calls(site, "live")
    meanwhile = 0
    async with calls.going_on():
        await until(lambda: calls.transfers > 1, "one goes on after the other")
        for _ in range(10):
            made, other = calls.made, one_permit(site)
            question = await asyncio.wait_for(other.take("query", PATIENCE), PATIENCE)
            meanwhile += calls.made - made
            await other.correct(question, tokens=None, quotas=Quotas())

    assert meanwhile <= 60


async def test_who_is_cancelled_while_a_permit_is_transferred_keeps_none(site: Worksite) -> None:
    chance = Random(1)  # noqa: S311 - nothing secret is made from it
    budget = one_permit(site)
    for _ in range(100):
        charge = await asyncio.wait_for(budget.take("live", PATIENCE), PATIENCE)
        waiting = asyncio.create_task(budget.take("live", 1))
        await ticks(chance.randrange(40))
        ending = asyncio.create_task(budget.correct(charge, tokens=None, quotas=Quotas()))
        await ticks(chance.randrange(40))
        waiting.cancel()
        (outcome,) = await asyncio.gather(waiting, return_exceptions=True)
        await ending
        if isinstance(outcome, Charge):
            await budget.correct(outcome, tokens=None, quotas=Quotas())
        assert await site.redis.zcard(keys.budget_calls("permits")) == 0


async def ticks(count: int) -> None:
    """Let the loop go round so often."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_workers_together_never_make_more_calls_at_once_than_the_provider_takes(site: Worksite) -> None:
    site.script.concurrency = 3
    site.script.latency = Latency(0.05)
    for name in EMBEDDERS:
        await site.work(name, batch_texts=2, embeddings_calls=3)
    await site.say(texts(200))
    await site.finished()

    assert site.script.counts.refused == 0
    assert site.script.counts.most_under_way == 3


async def test_workers_together_stay_within_the_limits_of_the_provider(site: Worksite) -> None:
    site.script.limits = RateLimits(requests_per_minute=6000, tokens_per_minute=60_000)
    await site.work(batch_texts=4)
    await site.work("embedder-2", batch_texts=4)
    site.script.forget()
    await site.say(texts(200), lane="bulk")
    await site.say(texts(100, "live"))
    await site.finished()

    assert site.script.counts.refused == 0
    # A fortieth of the tokens at once, the rest at 97% of their rate; a text here has 3 or 4.
    times = site.script.counts.times
    assert site.script.counts.texts * 3 <= 60_000 / 40 + (times[-1] - times[0] + 1) * 1000


async def test_a_message_goes_before_an_import_that_waits_for_its_turn(site: Worksite) -> None:
    await site.work(batch_texts=1, concurrency=2, embeddings_requests_per_minute=600)
    await site.say(texts(100, "import"), lane="bulk")
    await site.calls(20)
    await site.say(["just said"])
    before = site.script.counts.calls
    await until(lambda: "just said" in str(list(site.script.counts.by_text)), "it is embedded")

    assert site.script.counts.calls - before <= 5


CROWDED = 2400
"""Requests a minute: a bucket of 60, and 40 calls a second."""
STARVED: tuple[tuple[Use, tuple[Use, ...], float], ...] = (
    ("live", ("query",), 0.2),
    ("bulk", ("query", "live"), 0.05),
    ("query", ("live", "bulk"), 0.2),
)


@pytest.mark.parametrize(("use", "others", "floor"), STARVED)
async def test_each_use_gets_its_share_of_the_rate_whatever_the_others_take(
    site: Worksite, use: Use, others: tuple[Use, ...], floor: float
) -> None:
    budget, clock, passed = (
        Budget(site.redis, "crowded", SystemClock(), Limits(requests=CROWDED)),
        SystemClock(),
        Counter[Use](),
    )
    started = clock.monotonic()

    async def call(one: Use) -> None:
        while passed[use] < 6:
            await budget.take(one, 1.0)
            passed[one] += 1

    async with asyncio.timeout(PATIENCE):
        callers = [asyncio.create_task(call(one)) for one in (use, *others) for _ in range(20)]
        await asyncio.wait(callers, return_when=asyncio.FIRST_COMPLETED)
    for caller in callers:
        caller.cancel()
    await asyncio.gather(*callers, return_exceptions=True)
    seconds = clock.monotonic() - started

    assert passed[use] >= 6
    assert passed.total() <= CROWDED / 60 * seconds + CROWDED / 40 + len(callers)
    assert seconds < 6 / (floor * 0.97 * CROWDED / 60) + 5


@pytest.mark.parametrize(("use", "others", "_floor"), STARVED)
async def test_each_use_gets_a_permit_however_many_the_others_want(
    site: Worksite, use: Use, others: tuple[Use, ...], _floor: float
) -> None:
    budget, passed = Budget(site.redis, "narrow", SystemClock(), Limits(calls=2)), Counter[Use]()

    async def call(one: Use) -> None:
        while passed[use] < 5:
            charge = await budget.take(one, 1.0)
            await asyncio.sleep(0.002)
            passed[one] += 1
            await budget.correct(charge, tokens=None, quotas=Quotas())

    async with asyncio.timeout(PATIENCE):
        callers = [asyncio.create_task(call(one)) for one in (*others * 8, use)]
        await asyncio.wait(callers, return_when=asyncio.FIRST_COMPLETED)
    for caller in callers:
        caller.cancel()
    await asyncio.gather(*callers, return_exceptions=True)

    assert passed[use] >= 5
