"""Entries that wait without their text."""

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from memstream.embedder.parked_entries import ParkedEntries, ParkedEntry
from memstream.embedder.streams import SourceStream

TENANTS = st.sampled_from("abc")


def entry(number: int) -> ParkedEntry:
    """Make an entry."""
    return ParkedEntry(SourceStream(0, "live"), f"{number}-0", 1, 100)


@given(st.lists(TENANTS, max_size=60), st.integers(1, 7))
def test_all_are_taken_once_a_tenants_in_order_and_tenants_in_turns(tenants: list[str], most: int) -> None:
    parked, found = ParkedEntries(1000), defaultdict[str, list[ParkedEntry]](list)
    for number, tenant in enumerate(tenants):
        parked.add("live", tenant, entry(number))
    assert len(list(parked)) == len(parked) == len(tenants)
    turns: list[str] = []

    def admits(tenant: str, _: ParkedEntry) -> bool:
        turns.append(tenant)
        return True

    while parked:
        taken = parked.take("live", admits, most)
        assert len(taken) <= most
        found[turns[-1]].extend(taken)

    order = list(dict.fromkeys(turns))
    assert order == list(dict.fromkeys(tenants))
    assert {tenant: [entry(n) for n, one in enumerate(tenants) if one == tenant] for tenant in order} == found


def test_who_is_not_admitted_does_not_keep_the_others_waiting() -> None:
    parked = ParkedEntries(1000)
    for number in range(5):
        parked.add("live", "paused", entry(number))
    parked.add("live", "other", entry(9))

    assert parked.take("live", lambda tenant, _: tenant != "paused", 10) == [entry(9)]
    assert parked.take("live", lambda tenant, _: tenant != "paused", 10) == []
    assert parked.is_waiting("live", "paused")


def test_what_is_put_back_comes_first_and_in_order() -> None:
    parked = ParkedEntries(1000)
    parked.add("live", "a", entry(3))
    parked.put_back("live", "a", [entry(1), entry(2)])

    assert parked.take("live", lambda _tenant, _entry: True, 10) == [entry(1), entry(2), entry(3)]
    assert not parked.has("memstream:0:live", "1-0")


@given(st.integers(1, 30))
def test_an_import_leaves_room_for_the_live_lane(capacity: int) -> None:
    parked = ParkedEntries(capacity)
    number = 0
    while parked.has_room("bulk"):
        parked.add("bulk", "a", entry(number := number + 1))
    imported = len(parked)
    while parked.has_room("live"):
        parked.add("live", "b", entry(number := number + 1))

    assert imported <= capacity / 2 + 1
    assert len(parked) == capacity
