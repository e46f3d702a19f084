"""From what a device posted to the entry on the stream."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.examples import seeded
from unit.manual_clock import START

from memstream.contracts import ids, keys
from memstream.contracts.events import MessageRecorded, decode_event
from memstream.contracts.messages import MessageIn
from memstream.ingest.recorder import EVENT_TYPE, NewEntry, Recorder


def record(message: MessageIn, *, partitions: int = 1, lane: keys.Lane = "live", tenant: str = "acme") -> NewEntry:
    """Record a message at the start of the manual clock."""
    return Recorder(partitions, lambda: START, seeded()).record(message, tenant, lane)


def event_of(entry: NewEntry) -> MessageRecorded:
    """Read what lies on the stream."""
    event = decode_event(entry.data)
    assert isinstance(event, MessageRecorded)
    return event


def test_every_field_of_a_message_is_recorded() -> None:
    message = MessageIn(
        user_id="Zoë",
        text="Grüße 👩‍👩‍👧",
        message_id="m / 1",
        conversation_id="c",
        role="assistant",
        speaker="徳川",
        occurred_at=datetime(2026, 1, 31, 9, 30, tzinfo=UTC),
        kind="note",
        metadata={"a.b": [1, {"c": None}]},
    )
    event = event_of(record(message))

    assert {name: getattr(event, name) for name in MessageIn.model_fields} == message.model_dump()
    assert (event.tenant, event.recorded_at) == ("acme", START)


def test_the_tenant_is_the_callers_and_not_the_bodys() -> None:
    message = MessageIn(user_id="globex/ana", text="hello")

    assert event_of(record(message, tenant="acme")).tenant == "acme"


def test_a_message_without_an_id_gets_one_that_sorts_by_time() -> None:
    message = MessageIn(user_id="ana", text="hello")
    first = Recorder(1, lambda: START, seeded()).record(message, "acme", "live")
    later = Recorder(1, lambda: START + timedelta(seconds=1), seeded()).record(message, "acme", "live")

    assert uuid.UUID(first.message_id).version == 7
    assert first.message_id < later.message_id
    assert event_of(first).message_id == first.message_id


def test_a_message_without_a_time_was_said_now() -> None:
    event = event_of(record(MessageIn(user_id="ana", text="hello")))

    assert event.occurred_at == event.recorded_at == START


@pytest.mark.parametrize("lane", keys.LANES)
def test_an_entry_goes_to_the_lane_that_was_asked_for(lane: keys.Lane) -> None:
    assert record(MessageIn(user_id="ana", text="hello"), lane=lane).lane == lane


@given(st.text("ab徳 /", min_size=1, max_size=3), st.text("xy👍", min_size=1, max_size=3), st.integers(1, 64))
def test_an_entry_lies_where_its_owner_belongs(user_id: str, message_id: str, partitions: int) -> None:
    made = record(MessageIn(user_id=user_id, text="hello", message_id=message_id), partitions=partitions)

    assert made.partition == ids.partition("acme", user_id, partitions)
    assert made.seen_key == keys.seen(made.partition, ids.message_key("acme", user_id, message_id))
    assert made.erased_key == keys.erased(made.partition, ids.owner_key("acme", user_id))
    assert made.message_id == message_id


texts = st.text(st.characters(codec="utf-8", categories=("L", "N", "So", "Zs")), min_size=1, max_size=8)
names = texts.filter(lambda text: text != "*")
scalars = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
)
messages = st.builds(
    MessageIn,
    user_id=names,
    text=texts.filter(str.strip),
    message_id=names,
    conversation_id=st.none() | names,
    role=names,
    speaker=st.none() | names,
    kind=names,
    occurred_at=st.none() | st.datetimes(datetime(1970, 1, 1), datetime(2026, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - the time zone is drawn
    metadata=st.dictionaries(
        names.filter(str.isprintable), scalars | st.lists(scalars | texts, max_size=3), max_size=3
    ),
)


@given(messages)
def test_an_entry_holds_the_event_as_it_writes_itself(message: MessageIn) -> None:
    made = record(message)

    assert event_of(made).model_dump_json().encode() == made.data


def test_an_entrys_type_is_that_of_its_data() -> None:
    assert event_of(record(MessageIn(user_id="ana", text="hello"))).type == EVENT_TYPE
