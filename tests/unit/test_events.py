"""Events as consumers read them: strict about what they need, blind to what they don't know."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from unit.examples import recorded

from memstream.contracts.events import MessageDeleted, MessageRecorded, UserErased, decode_event

DELETED = {"tenant": "t", "user_id": "u", "message_id": "m", "erasure_id": "e", "deleted_at": "2026-03-01T09:30:00Z"}
ERASED = {"tenant": "t", "user_id": "u", "erasure_id": "e", "erased_at": "2026-03-01T09:30:00Z"}


def written(**fields: Any) -> bytes:  # noqa: ANN401 - any JSON
    """Write an event as it lies on a stream, with some fields changed."""
    return json.dumps({**json.loads(recorded().model_dump_json()), **fields}).encode()


def test_an_event_is_told_by_its_type() -> None:
    deleted = decode_event(json.dumps({**DELETED, "type": "message.deleted.v1"}).encode())
    erased = decode_event(json.dumps({**ERASED, "type": "user.erased.v1"}).encode())

    assert isinstance(decode_event(written()), MessageRecorded)
    assert isinstance(deleted, MessageDeleted)
    assert isinstance(erased, UserErased)


def test_a_field_of_a_later_release_is_ignored() -> None:
    assert decode_event(written(language="es", nested={"deep": [1]})) == recorded()


@given(st.text(st.characters(codec="utf-8"), min_size=1), st.text(st.characters(codec="utf-8"), min_size=1))
def test_what_was_said_comes_out_as_it_went_in(text: str, user_id: str) -> None:
    event = recorded(text=text, user_id=user_id, metadata={"t": text})

    assert decode_event(event.model_dump_json().encode()) == event


@pytest.mark.parametrize("kind", ["message.recorded.v2", "message.recorded", "", "x", None, 1])
def test_an_unknown_type_is_refused(kind: object) -> None:
    with pytest.raises(ValidationError):
        decode_event(written(type=kind))


@pytest.mark.parametrize("data", [b"", b"\xff", b"null", b"[]", b"{}", b"{", b'"message.recorded.v1"'])
def test_what_is_no_event_is_refused(data: bytes) -> None:
    with pytest.raises(ValidationError):
        decode_event(data)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tenant", "A/b"),
        ("tenant", ""),
        ("user_id", ""),
        ("message_id", ""),
        ("text", ""),
        ("text", 1),
        ("metadata", []),
    ],
)
def test_a_field_that_no_producer_writes_is_refused(field: str, value: object) -> None:
    with pytest.raises(ValidationError):
        decode_event(written(**{field: value}))
