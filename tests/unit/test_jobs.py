"""From an entry as it was read to the points that are stored, or the reason why not."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from unit.examples import entry, job, recorded, seeded
from unit.manual_clock import START

from memstream.contracts import ids
from memstream.contracts.events import MessageDeleted, UserErased
from memstream.embedder.chunks import Chunker
from memstream.embedder.jobs import (
    Dead,
    DeletionRequest,
    Delivery,
    EmbeddingJob,
    Expired,
    Pending,
    Settled,
    chunks_of,
    decode,
    prepare,
)
from memstream.embedder.streams import SourceStream, source_streams

CHUNKER = Chunker(24, 6)
LONG = " ".join(f"This is the sentence with the number {number} of all of them." for number in range(6))


def prepared(delivery: Delivery, max_deliveries: int = 5) -> EmbeddingJob:
    """Prepare an entry that is fine."""
    found = prepare(decode(delivery), CHUNKER, max_deliveries, lambda: START)
    assert isinstance(found, EmbeddingJob)
    return found


def dead(delivery: Delivery, max_deliveries: int = 5) -> Dead:
    """Give the reason why an entry can't be prepared."""
    found = prepare(decode(delivery), CHUNKER, max_deliveries, lambda: START)
    assert isinstance(found, Settled)
    assert found.delivery is delivery
    assert isinstance(found.outcome, Dead)
    return found.outcome


def test_a_message_becomes_the_text_that_is_embedded() -> None:
    event = recorded(speaker="Zoë", text="Hello 👍")
    found = prepared(entry(event.model_dump_json().encode()))

    assert found.message == event
    assert found.chunks == ["Hello 👍"]
    assert found.texts == ["1 March 2026, Zoë: Hello 👍"]
    assert found.size == len(found.texts[0].encode())


def test_a_long_message_becomes_several_texts_that_each_name_the_speaker() -> None:
    found = prepared(entry(recorded(text=LONG, role="assistant").model_dump_json().encode()))

    assert len(found.texts) == len(found.chunks) > 1
    assert all(
        text == f"1 March 2026, assistant: {chunk}" for text, chunk in zip(found.texts, found.chunks, strict=True)
    )
    assert found.size == sum(len(text.encode()) for text in found.texts)


def test_an_entry_without_data_is_dead() -> None:
    delivery = SourceStream(0, "live").delivery("1-0", {b"type": b"message.recorded.v1"})

    assert dead(delivery) == Dead("the entry has no field 'data'")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not an event: data: json_invalid"),
        (b"\xff\xfe", "not an event: data: json_invalid"),
        (b"[" * 10_000, "not an event: data: json_invalid"),
        (b"{}", "not an event: data: union_tag_not_found"),
        (b'{"type": "message.recorded.v9"}', "not an event: data: union_tag_invalid"),
        (b"[]", "not an event: data: dict_type"),
    ],
)
def test_an_entry_that_is_no_event_is_dead_by_the_kind_of_fault(data: bytes, reason: str) -> None:
    assert dead(entry(data)) == Dead(reason)


@pytest.mark.parametrize(
    ("kind", "age", "is_left"),
    [
        ("message.recorded.v9", 0, True),
        ("user.merged.v1", 86_399, True),
        ("message.recorded.v9", 86_401, False),
        ("message.recorded.v9", -86_401, False),
        ("message.recorded.v9", -(2.0**53), False),
        ("nonsense", 0, False),
        ("my secret.v1", 0, False),
        (7, 0, False),
    ],
)
def test_an_event_of_a_newer_release_is_left_for_a_day(kind: object, age: float, is_left: bool) -> None:  # noqa: FBT001 - a parameter
    delivery = entry(json.dumps({"type": kind}).encode(), entry_id=f"{int((START.timestamp() - age) * 1000)}-0")
    found = prepare(decode(delivery), CHUNKER, 5, lambda: START)

    assert isinstance(found, Settled)
    reason = "not an event: data: union_tag_invalid"
    assert found.outcome == (Pending(reason, is_counted=False) if is_left else Dead(reason))


def test_the_reason_names_fields_and_never_what_was_said() -> None:
    fields = {**json.loads(recorded().model_dump_json()), "text": ["my secret"], "occurred_at": "my secret"}
    reason = dead(entry(json.dumps(fields).encode())).reason

    assert "message.recorded.v1.text: string_type" in reason
    assert "message.recorded.v1.occurred_at: datetime" in reason
    assert "secret" not in reason


@pytest.mark.parametrize(
    "event",
    [
        MessageDeleted(tenant="t", user_id="u", message_id="m", erasure_id="e", deleted_at=START),
        UserErased(tenant="t", user_id="u", erasure_id="e", erased_at=START),
    ],
)
def test_a_request_to_delete_is_decoded(event: MessageDeleted | UserErased) -> None:
    delivery = entry(event.model_dump_json().encode())

    assert prepare(decode(delivery), CHUNKER, 5, lambda: START) == DeletionRequest(delivery, event)


@pytest.mark.parametrize("text", [" ", "\n\t", "\u3000"])
def test_a_blank_text_is_dead(text: str) -> None:
    assert dead(entry(recorded(text=text).model_dump_json().encode())) == Dead("the text is blank")


def test_an_entry_that_came_back_too_often_is_dead_of_an_unknown_cause() -> None:
    data = recorded().model_dump_json().encode()

    assert prepared(entry(data, attempts=5), max_deliveries=5).is_redelivered
    assert dead(entry(data, attempts=6), max_deliveries=5) == Dead("delivered 6 times without an outcome", "unknown")


def test_a_message_that_is_dead_is_named_as_far_as_it_could_be_read() -> None:
    event = recorded(text=" ")
    readable = prepare(decode(entry(event.model_dump_json().encode())), CHUNKER, 5, lambda: START)
    error_for_unreadable_answer = prepare(decode(entry(b"{")), CHUNKER, 5, lambda: START)

    assert isinstance(readable, Settled)
    assert isinstance(error_for_unreadable_answer, Settled)
    assert (readable.message, error_for_unreadable_answer.message) == (event, None)


def test_only_a_redelivered_message_goes_alone() -> None:
    assert [job(attempts=attempts).is_redelivered for attempts in (1, 2, 3)] == [False, True, True]


def test_a_message_becomes_a_point_with_all_its_fields() -> None:
    event = recorded(
        message_id="m 1", conversation_id="c", speaker="Zoë", kind="note", text="Hello 👍", metadata={"a.b": [1]}
    )
    (point,) = chunks_of(prepared(entry(event.model_dump_json().encode())), np.array([[0.5, -1.0]], np.float32))

    assert point.owner.point_id("m 1", 0) == ids.point_id("acme", "ana", "m 1", 0)
    assert point.owner.name == "acme/ana"
    assert point.vector.tolist() == [0.5, -1.0]
    assert point.indexed_text == "1 March 2026, Zoë: Hello 👍"
    assert point.message.written() == {
        "owner": "acme/ana",
        "message_id": "m 1",
        "conversation_id": "c",
        "role": "user",
        "speaker": "Zoë",
        "kind": "note",
        "text": "Hello 👍",
        "occurred_at": datetime(2026, 3, 1, 9, 30, tzinfo=UTC),
        "recorded_at": datetime(2026, 3, 1, 9, 30, tzinfo=UTC),
        "metadata": {"a.b": [1]},
        "chunk": 0,
        "chunks": 1,
        "entry_ms": 1,
        "entry": "0.live.1-0",
    }


def test_each_chunk_becomes_a_point_and_the_first_carries_the_whole_text() -> None:
    long = prepared(entry(recorded(text=LONG).model_dump_json().encode()))
    vectors = np.arange(len(long.texts), dtype=np.float32)[:, None]
    points = chunks_of(long, vectors)

    assert [point.message.chunk for point in points] == list(range(len(points)))
    assert {point.message.chunks for point in points} == {len(points)}
    assert [point.vector.tolist() for point in points] == [[float(n)] for n in range(len(points))]
    assert [point.message.text for point in points] == list(long.chunks)
    assert [point.message.full_text for point in points] == [LONG, *[None] * (len(points) - 1)]


def test_storing_again_gives_equal_points() -> None:
    one = entry(recorded(text=LONG).model_dump_json().encode())
    again = entry(recorded(text=LONG).model_dump_json().encode(), attempts=3)
    chance = seeded()
    vectors = np.array([[chance.random()] for _ in range(20)], np.float32)

    assert chunks_of(prepared(one), vectors) == chunks_of(prepared(again), vectors)


def test_every_worker_reads_both_lanes_of_every_partition() -> None:
    names = [source.name for source in source_streams(2)]

    assert names == ["memstream:{0}:live", "memstream:{0}:bulk", "memstream:{1}:live", "memstream:{1}:bulk"]


def test_an_entrys_name_tells_it_from_the_same_id_in_another_stream() -> None:
    assert entry(b"", lane="live").name != entry(b"", lane="bulk").name
    assert entry(b"", attempts=1).name == entry(b"", attempts=2).name


def test_an_entrys_size_is_that_of_its_bytes() -> None:
    delivery = SourceStream(0, "live").delivery("1-0", {b"data": b"12345", b"type": b"x"})

    assert delivery.size == 4 + 5 + 4 + 1


def test_a_message_whose_time_is_over_is_not_stored() -> None:
    def outcome_of(seconds: float, *, replaces: bool = False) -> EmbeddingJob | DeletionRequest | Settled:
        event = recorded(expires_at=START + timedelta(seconds=seconds), replaces=replaces)
        return prepare(decode(entry(event.model_dump_json().encode())), CHUNKER, 5, lambda: START)

    for over in (-60, 0):
        found = outcome_of(over)
        assert isinstance(found, Settled)
        assert found.outcome == Expired()
    assert isinstance(outcome_of(1), EmbeddingJob)
    # It takes the place of the older version, which would be found for ever.
    assert isinstance(outcome_of(-60, replaces=True), EmbeddingJob)
