"""Ids: what is taken, and names that must never change because stored points hang on them."""

import uuid
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from unit.examples import seeded

from memstream.contracts import ids
from memstream.contracts.ids import Id, Tenant, UserId
from memstream.contracts.limits import Limits

FAMILY = "👩‍👩‍👧"

an_id: TypeAdapter[str] = TypeAdapter(Id)
a_user_id: TypeAdapter[str] = TypeAdapter(UserId)
a_tenant: TypeAdapter[str] = TypeAdapter(Tenant)


@pytest.mark.parametrize(
    "value",
    [
        "a",
        "with spaces",
        " around ",
        "a/b/c",
        "a:b{0}",
        "..",
        "%2F",
        "Zoë",
        "徳川",
        FAMILY,
        "نعم",
        "é" * 128,
        "a" * 256,
    ],
)
def test_printable_ids_are_kept_exactly_as_given(value: str) -> None:
    assert an_id.validate_python(value) == value


@pytest.mark.parametrize("value", ["", "a\0", "a\nb", "\t", "\x7f", "\x85", "\u2028", "\u2029", "\ud800"])
def test_ids_that_cannot_be_printed_are_refused(value: str) -> None:
    with pytest.raises(ValidationError):
        an_id.validate_python(value)


@pytest.mark.parametrize("value", ["a" * 257, "é" * 129, "é" * 128 + "a", FAMILY * 15])
def test_an_id_is_limited_in_bytes(value: str) -> None:
    with pytest.raises(ValidationError, match=f"is {len(value.encode())} bytes of UTF-8, the limit is 256"):
        an_id.validate_python(value)


def test_the_limit_of_ids_is_the_one_that_validation_is_given() -> None:
    context = {"limits": Limits(id_bytes=3)}

    assert an_id.validate_python("abc", context=context) == "abc"
    with pytest.raises(ValidationError, match="the limit is 3"):
        an_id.validate_python("abcd", context=context)


@pytest.mark.parametrize("value", [1, 1.0, True, None, b"a", ["a"]])
def test_an_id_is_text_and_nothing_else(value: object) -> None:
    with pytest.raises(ValidationError):
        an_id.validate_python(value)


def test_the_user_id_of_all_users_is_reserved() -> None:
    assert an_id.validate_python("*") == "*"
    with pytest.raises(ValidationError, match="reserved"):
        a_user_id.validate_python("*")


@pytest.mark.parametrize("value", ["", "A", "a/b", "-a", ".a", "a b", "a\n", "é", "a" * 64])
def test_a_tenants_name_has_a_small_alphabet(value: str) -> None:
    with pytest.raises(ValidationError):
        a_tenant.validate_python(value)


@given(st.from_regex(r"[a-z0-9][a-z0-9_.-]{0,9}", fullmatch=True), st.text(min_size=1))
def test_an_owner_can_be_read_in_one_way_only(tenant: str, user_id: str) -> None:
    assert a_tenant.validate_python(tenant) == tenant
    assert ids.owner(tenant, user_id).split("/", 1) == [tenant, user_id]


def test_the_names_of_stored_points_never_change() -> None:
    assert str(ids.POINT_NAMESPACE) == "6d1d6d5c-51a5-5c0f-9b0e-0d6f6a1f3c57"
    assert str(ids.point_id("acme", "ana", "m-1", 0)) == "3c1faea8-5eb5-5061-924a-c47def20b1f0"
    assert str(ids.point_id("acme", "ana", "m-1", 1)) == "6a9849a5-5b7e-5db1-9ba8-69df02cccfaa"
    assert str(ids.point_id("acme", f"Zoë / {FAMILY}", "№ 1", 0)) == "577b391c-e073-5e30-96d0-d5926923fa98"


def test_the_names_of_messages_never_change() -> None:
    assert str(ids.message_key("acme", "ana", "m-1")) == "5769c5f5-012f-5923-a99a-807b198fde19"


@pytest.mark.parametrize(
    ("owner", "of_16", "of_1024"),
    [(("acme", "ana"), 15, 847), (("acme", "bob"), 9, 201), (("x", FAMILY), 0, 304)],
)
def test_the_partition_of_an_owner_never_changes(owner: tuple[str, str], of_16: int, of_1024: int) -> None:
    assert ids.partition(*owner, 1) == 0
    assert ids.partition(*owner, 16) == of_16
    assert ids.partition(*owner, 1024) == of_1024


def test_owners_are_spread_over_the_partitions() -> None:
    counts = [0] * 16
    for number in range(1600):
        counts[ids.partition("acme", f"user-{number}", 16)] += 1

    assert min(counts) > 60
    assert max(counts) < 150


parts = st.tuples(*(st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=4),) * 3)


@given(parts, parts)
def test_different_messages_have_different_names(one: tuple[str, str, str], other: tuple[str, str, str]) -> None:
    assert (ids.message_key(*one) == ids.message_key(*other)) == (one == other)
    assert (ids.point_id(*one, 0) == ids.point_id(*other, 0)) == (one == other)


@given(parts)
def test_the_hex_of_a_messages_name_is_that_of_its_uuid(message: tuple[str, str, str]) -> None:
    assert ids.message_hex(*message) == ids.message_key(*message).hex
    assert ids.owner_hex(*message[:2]) == ids.owner_key(*message[:2]).hex


def test_a_message_and_its_chunks_have_different_names() -> None:
    names = {ids.message_key("t", "u", "m"), *(ids.point_id("t", "u", "m", chunk) for chunk in range(100))}

    assert len(names) == 101


times = st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - as the strategy wants it


@given(times, st.randoms(use_true_random=False))
def test_a_new_message_id_is_a_uuid_of_version_7(now: datetime, chance: Random) -> None:
    made = ids.new_message_id(now, chance)
    read = uuid.UUID(made)

    assert made == str(read)
    assert read.version == 7
    assert read.variant == uuid.RFC_4122
    assert abs((read.int >> 80) - now.timestamp() * 1000) <= 1


@given(times, st.integers(2, 10**9), st.randoms(use_true_random=False))
def test_a_message_id_made_later_sorts_later(now: datetime, milliseconds: int, chance: Random) -> None:
    later = now + timedelta(milliseconds=milliseconds)

    assert ids.new_message_id(now, chance) < ids.new_message_id(later, chance)


def test_a_message_id_holds_the_millisecond() -> None:
    milliseconds = 2_193_727_043_627
    now = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)

    assert uuid.UUID(ids.new_message_id(now, seeded())).int >> 80 == milliseconds


def test_message_ids_made_at_the_same_time_differ() -> None:
    now, chance = datetime(2026, 3, 1, tzinfo=UTC), seeded()

    assert len({ids.new_message_id(now, chance) for _ in range(1000)}) == 1000
