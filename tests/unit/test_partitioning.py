"""Where users were before the number of partitions was raised."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memstream.contracts import ids
from memstream.contracts.keys import MAX_PARTITIONS
from memstream.runtime.errors import ConfigurationError
from memstream.streams.partitioning import Partitioning


@st.composite
def partitionings(draw: st.DrawFn) -> Partitioning:
    found = Partitioning((draw(st.integers(1, 8)),))
    for factor in draw(st.lists(st.integers(2, 4), max_size=3)):
        found = found.with_partitions(found.partitions * factor)
    return found


@given(partitionings(), st.text("abc", min_size=1))
def test_the_former_partitions_are_those_a_user_was_in(partitioning: Partitioning, user: str) -> None:
    homes = [ids.partition("acme", user, count) for count in partitioning.counts]
    present = homes[-1]

    former = partitioning.former(present)

    # The last one first.
    assert list(former) == list(dict.fromkeys(home for home in reversed(homes) if home != present))


@given(partitionings())
def test_it_is_read_as_it_was_written(partitioning: Partitioning) -> None:
    assert Partitioning.parse(str(partitioning)) == partitioning


@pytest.mark.parametrize(
    ("partitions", "text"),
    [(8, "this installation has 16: set 16"), (20, "set that, or a multiple of it"), (MAX_PARTITIONS - 1, "multiple")],
)
def test_a_number_that_can_not_be_reached_is_refused(partitions: int, text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        Partitioning((1, 16)).with_partitions(partitions)


def test_the_same_number_changes_nothing() -> None:
    assert Partitioning((1, 16)).with_partitions(16) == Partitioning((1, 16))
