"""Names in Redis, and positions as clients carry them about."""

import re
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memstream.contracts import keys
from memstream.contracts.keys import MAX_PARTITIONS, Lane, Position, Seen, entry_order

numbers = st.integers(0, 2**64 - 1)
entry_ids = st.builds("{}-{}".format, numbers, numbers)
positions = st.builds(Position, st.integers(0, MAX_PARTITIONS - 1), st.sampled_from(keys.LANES), entry_ids)


def test_the_names_of_streams_and_keys_never_change() -> None:
    message = uuid.UUID(int=255)

    assert keys.stream(3, "live") == "memstream:{3}:live"
    assert keys.stream(12, "bulk") == "memstream:{12}:bulk"
    assert keys.dead_letters(3) == "memstream:{3}:dead"
    assert keys.seen(3, message) == "memstream:{3}:seen:000000000000000000000000000000ff"
    assert keys.credential("ab") == "memstream:credential:ab"
    assert (keys.CREDENTIAL_INDEX, keys.AUDIT) == ("memstream:credentials", "memstream:audit")
    assert (keys.GROUP, keys.TYPE_FIELD, keys.DATA_FIELD) == ("embedder", "type", "data")


@given(st.integers(0, MAX_PARTITIONS - 1), st.uuids())
def test_keys_of_one_partition_lie_in_one_slot_of_a_cluster(partition: int, message: uuid.UUID) -> None:
    names = [*(keys.stream(partition, lane) for lane in keys.LANES), keys.dead_letters(partition)]

    tags = {tag for name in (*names, keys.seen(partition, message)) for tag in re.findall(r"\{(.*?)\}", name)}
    assert tags == {str(partition)}


@given(positions)
def test_a_position_is_read_as_it_was_written(position: Position) -> None:
    assert Position.parse(str(position)) == position


def test_a_position_names_its_stream() -> None:
    assert Position.parse("7.bulk.1700000000000-3").stream == "memstream:{7}:bulk"


@pytest.mark.parametrize(
    "text",
    [
        *("", "0", "0.live", "0.live.", "0.live.1", "0.live.1-", "0.live.-1-0", "0.dead.1-0", "0.LIVE.1-0"),
        *("-1.live.1-0", "1024.live.1-0", "9999.live.1-0", "10000.live.1-0", "0.live.1-0 ", " 0.live.1-0"),
        *("0.live.1-0\n", "0.live.1-0\0", "0.live.*", "0.live.$-0", "0.live.1-0-0", "0,live,1-0", "x" * 10_000),
    ],
)
def test_what_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a position that ingest gave out"):
        Position.parse(text)


@pytest.mark.parametrize("text", ["٣.live.1-0", "0.live.٣-0", "0.live.1-٣"])
def test_digits_of_other_scripts_are_no_position(text: str) -> None:
    with pytest.raises(ValueError, match="is not a position"):
        Position.parse(text)


@pytest.mark.parametrize("text", ["0.live.18446744073709551616-0", "0.live.1-99999999999999999999"])
def test_a_number_that_no_entry_can_have_is_no_position(text: str) -> None:
    with pytest.raises(ValueError, match="is not a position"):
        Position.parse(text)


@given(numbers, numbers, numbers, numbers)
def test_entries_are_ordered_as_numbers(one: int, first: int, other: int, second: int) -> None:
    smaller = (one, first) < (other, second)

    assert (entry_order(f"{one}-{first}") < entry_order(f"{other}-{second}")) == smaller


def test_an_entry_without_a_sequence_is_the_first_of_its_millisecond() -> None:
    assert entry_order("5") == (5, 0)


@given(positions, st.none() | entry_ids)
def test_a_seen_key_is_read_as_it_was_written(position: Position, dead_entry_id: str | None) -> None:
    seen = Seen(position, dead_entry_id)

    assert Seen.parse(str(seen)) == seen


def test_a_seen_key_is_written_as_the_scripts_write_it() -> None:
    position = Position(0, "live", "5-0")

    assert str(Seen(position)) == "0.live.5-0"
    assert str(Seen(position, "9-1")) == "0.live.5-0 dead 9-1"


@pytest.mark.parametrize("text", ["", "dead", "5-0", "0.live.x dead 9-1"])
def test_what_is_no_seen_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a position"):
        Seen.parse(text)


@pytest.mark.parametrize("text", ["0.live.5-0 ", "0.live.5-0 rubbish", "0.live.5-0 dead ", "0.live.5-0 dead 9-1 x"])
def test_a_seen_key_with_something_else_behind_its_position_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not"):
        Seen.parse(text)


@pytest.mark.parametrize(
    ("entry_id", "expected"),
    [("999-9", True), ("1000-2", True), ("1000-3", True), ("1000-4", False), ("1001-0", False), ("10000-0", False)],
)
def test_what_was_appended_up_to_a_mark_was_before_it(entry_id: str, *, expected: bool) -> None:
    assert keys.was_before("1000-3", entry_id) is expected


def test_every_lane_has_a_stream() -> None:
    lanes: tuple[Lane, ...] = keys.LANES

    assert lanes == ("live", "bulk")
