"""A queue that is fair over keys."""

from collections import Counter, defaultdict
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memstream.runtime.fair_queue import FairQueue

keys = st.sampled_from("abcd")
costs = st.integers(1, 50)
arrivals = st.lists(st.tuples(keys, costs), max_size=60)
steps = st.lists(st.one_of(st.tuples(keys, costs), st.none()), max_size=120)
"""What comes, each with its cost; None: the next one is served."""


def filled(came: Sequence[tuple[str, int]]) -> FairQueue[str, tuple[int, int]]:
    queue = FairQueue[str, tuple[int, int]]()
    for number, (key, cost) in enumerate(came):
        assert queue.push(key, (number, cost), cost) is None
    return queue


@given(steps)
def test_everything_comes_out_once_and_in_the_order_of_its_key(taken: Sequence[tuple[str, int] | None]) -> None:
    queue = FairQueue[str, int]()
    came: dict[str, list[int]] = defaultdict(list)
    went: dict[str, list[int]] = defaultdict(list)

    def serve() -> None:
        key, item = queue.pop()
        went[key].append(item)

    for number, step in enumerate(taken):
        if step is not None:
            queue.push(step[0], number, step[1])
            came[step[0]].append(number)
        elif len(queue):
            serve()
        assert {key: queue.waiting(key) for key in "abcd"} == {key: len(came[key]) - len(went[key]) for key in "abcd"}
    while len(queue):
        serve()

    assert {key: items for key, items in went.items() if items} == {key: items for key, items in came.items() if items}


@given(arrivals, steps)
def test_of_two_that_both_wait_neither_is_served_more_by_more_than_two_items(
    first: Sequence[tuple[str, int]], then: Sequence[tuple[str, int] | None]
) -> None:
    queue = filled(first)
    served = Counter[str]()
    since: dict[frozenset[str], Counter[str]] = {}
    for number, step in enumerate(then):
        if step is not None:
            queue.push(step[0], (number, step[1]), step[1])
        elif len(queue):
            key, (_, cost) = queue.pop()
            served[key] += cost
        waiting = [key for key in "abcd" if queue.waiting(key)]
        pairs = {frozenset((one, other)) for one in waiting for other in waiting if one != other}
        since = {pair: since.get(pair, served.copy()) for pair in pairs}
        for pair, before in since.items():
            one, other = pair
            assert abs((served[one] - before[one]) - (served[other] - before[other])) <= 2 * 50


@given(arrivals, st.integers(0, 40), costs)
def test_who_had_nothing_waiting_is_served_after_at_most_one_item_of_each_other(
    first: Sequence[tuple[str, int]], served: int, cost: int
) -> None:
    queue = filled([(key, cost) for key, cost in first if key != "a"])
    for _ in range(min(served, len(queue))):
        queue.pop()
    queue.push("a", (-1, cost), cost)

    ahead = Counter[str]()
    while (key := queue.pop()[0]) != "a":
        ahead[key] += 1

    assert all(times == 1 for times in ahead.values())


def test_a_thousand_of_one_do_not_delay_one_of_another() -> None:
    queue = filled([("a", 1)] * 1000)
    for _ in range(100):
        queue.pop()
    queue.push("b", (-1, 1))

    assert queue.pop()[0] == "b"


def test_who_asks_for_much_waits_for_others_in_proportion() -> None:
    queue = filled([("a", 10)] * 5 + [("b", 1)] * 50)

    order = "".join(queue.pop()[0] for _ in range(22))

    assert (order.count("a"), order.count("b")) == (2, 20)


@given(st.integers(1, 5), st.integers(1, 8), arrivals)
def test_no_more_wait_than_may(each: int, total: int, came: Sequence[tuple[str, int]]) -> None:
    queue = FairQueue[str, int](each=each, total=total)
    inside: dict[int, str] = {}
    for number, (key, cost) in enumerate(came):
        inside[number] = key
        refused = queue.push(key, number, cost)
        if refused is not None:
            del inside[refused]
        waiting = Counter(inside.values())
        assert len(queue) == len(inside) <= total
        assert all(queue.waiting(key) == waiting[key] <= each for key in "abcd")


@given(st.integers(4, 12), arrivals)
def test_a_full_queue_has_a_place_for_who_has_less_than_its_share(total: int, came: Sequence[tuple[str, int]]) -> None:
    queue = FairQueue[str, int](total=total)
    for number, (key, cost) in enumerate(came):
        before = queue.waiting(key)
        refused = queue.push(key, number, cost)
        if before < total // 4:
            assert refused != number


def test_the_last_one_of_the_key_with_the_most_gives_way() -> None:
    queue = FairQueue[str, int](total=3)
    for number in range(3):
        queue.push("a", number)

    assert queue.push("b", 3) == 2
    assert [queue.pop() for _ in range(3)] == [("a", 0), ("b", 3), ("a", 1)]


@given(arrivals, st.sets(st.integers(0, 60)))
def test_what_is_given_up_is_not_served(came: Sequence[tuple[str, int]], given_up: set[int]) -> None:
    queue = FairQueue[str, int]()
    for number, (key, cost) in enumerate(came):
        queue.push(key, number, cost)
    for number in given_up:
        is_there = number < len(came)
        key = came[number][0] if is_there else "a"
        assert queue.remove(key, number) is is_there
        assert not queue.remove(key, number)

    assert {queue.pop()[1] for _ in range(len(queue))} == set(range(len(came))) - given_up


def test_what_is_given_up_costs_its_key_nothing() -> None:
    queue = FairQueue[str, str]()
    queue.push("a", "dear", 100)
    queue.push("a", "cheap", 1)
    queue.push("b", "first", 1)
    queue.push("b", "second", 1)
    queue.remove("a", "dear")

    assert [queue.pop()[1] for _ in range(3)] == ["cheap", "first", "second"]


def test_nothing_is_served_when_nothing_waits() -> None:
    with pytest.raises(IndexError):
        FairQueue[str, int]().pop()
