"""How entries are split into calls of the append script."""

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from memstream.contracts import keys
from memstream.ingest.appends import appends
from memstream.ingest.recorder import NewEntry

MESSAGES, SIZE = 250, 1024 * 1024


def entry(partition: int, lane: keys.Lane, size: int) -> NewEntry:
    """Make an entry of so many bytes."""
    return NewEntry(partition, lane, "m", "seen", "erased", b"x" * size)


places = st.tuples(st.integers(0, 2), st.sampled_from(keys.LANES), st.sampled_from([1, 1000, 400_000, SIZE, SIZE + 1]))


@given(st.lists(places, max_size=12))
def test_every_entry_is_in_one_call_of_its_stream_and_in_order(chosen: list[tuple[int, keys.Lane, int]]) -> None:
    entries = [entry(*place) for place in chosen]
    made = appends(entries)

    assert sorted(index for call in made for index in call.indexes) == list(range(len(entries)))
    by_stream: defaultdict[tuple[int, keys.Lane], list[int]] = defaultdict(list)
    for call in made:
        place = call.partition, call.lane
        by_stream[place] += call.indexes
        assert {(entries[index].partition, entries[index].lane) for index in call.indexes} == {place}
        assert sum(len(entries[index].data) for index in call.indexes) <= SIZE or len(call.indexes) == 1
    assert all(indexes == sorted(indexes) for indexes in by_stream.values())


def test_a_call_holds_so_many_messages_and_no_more() -> None:
    made = appends([entry(0, "live", 1)] * (2 * MESSAGES + 1))

    assert [len(call.indexes) for call in made] == [MESSAGES, MESSAGES, 1]


def test_a_call_holds_so_many_bytes_and_no_more() -> None:
    made = appends([entry(0, "live", SIZE // 2)] * 5)

    assert [len(call.indexes) for call in made] == [2, 2, 1]
