"""Turns of tenants: nobody waits for longer than a round, and whoever has something is never idle."""

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from memstream.embedder.tenant_turns import TenantTurns

PER_TURN = 1.0
COSTS = st.sampled_from([0.05, 0.25, 0.5, 1.0, 2.5])
TENANTS = st.sampled_from("abcd")
items = st.lists(st.tuples(TENANTS, COSTS), max_size=60)


def queue_of(items: list[tuple[str, float]]) -> TenantTurns[tuple[int, float]]:
    """Queue items, each as its number and cost."""
    queue: TenantTurns[tuple[int, float]] = TenantTurns(lambda item: item[1], PER_TURN)
    for number, (tenant, cost) in enumerate(items):
        queue.add(tenant, (number, cost))
    return queue


@given(items)
def test_every_item_comes_once_and_a_tenants_in_order(items: list[tuple[str, float]]) -> None:
    queue, found = queue_of(items), defaultdict[str, list[int]](list)
    for _ in items:
        assert queue
        next_up = queue.peek()
        assert queue.pop() == next_up
        found[next_up[0]].append(next_up[1][0])

    assert not queue
    for tenant, numbers in found.items():
        assert numbers == [number for number, (one, _) in enumerate(items) if one == tenant]


@given(items, st.integers(0, 40), COSTS)
def test_a_tenant_that_comes_anew_waits_for_one_turn_of_each_other_at_most(
    items: list[tuple[str, float]], taken: int, cost: float
) -> None:
    queue = queue_of(items)
    for _ in range(min(taken, len(items))):
        queue.pop()
    queue.add("new", (-1, min(cost, PER_TURN)))
    spent: defaultdict[str, float] = defaultdict(float)
    while (one := queue.pop())[0] != "new":
        spent[one[0]] += one[1][1]

    # What is left of a turn, and one more turn.
    dearest = max((cost for _, cost in items), default=0.0)
    assert all(each <= 2 * PER_TURN + dearest for each in spent.values())


@given(st.integers(2, 6), st.lists(COSTS, min_size=1, max_size=5), st.integers(1, 200))
def test_tenants_that_always_have_something_get_the_same(tenants: int, costs: list[float], taken: int) -> None:
    queue: TenantTurns[float] = TenantTurns(lambda cost: cost, PER_TURN)
    spent: defaultdict[str, float] = defaultdict(float)
    for number in range(tenants):
        for cost in costs * 200:
            queue.add(f"tenant {number}", cost)
    for _ in range(taken):
        tenant, cost = queue.pop()
        spent[tenant] += cost

    shares = [spent[f"tenant {number}"] for number in range(tenants)]
    assert max(shares) - min(shares) <= PER_TURN + 2 * max(costs)


@given(items, TENANTS)
def test_what_is_removed_is_a_tenants_and_leaves_the_others_as_they_were(
    items: list[tuple[str, float]], removed: str
) -> None:
    queue = queue_of(items)
    if queue:
        queue.peek()

    assert [number for number, _ in queue.remove(removed)] == [
        number for number, (tenant, _) in enumerate(items) if tenant == removed
    ]
    left = [queue.pop() for _ in range(sum(tenant != removed for tenant, _ in items))]
    assert removed not in {tenant for tenant, _ in left}
    assert not queue
