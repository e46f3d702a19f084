"""What is stored of a message: one type names the fields, their defaults and their indexes."""

from datetime import UTC, datetime
from typing import Any

import pytest

from memstream.contracts.messages import MessageContent
from memstream.contracts.searches import Filter
from memstream.vectors.store import KEYWORDS, StoredMessage
from memstream.vectors.store.messages import INDEXES, Index

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LEAST: dict[str, Any] = {
    "owner": "acme/ana",
    "message_id": "m",
    "text": "Hello",
    "occurred_at": "2026-03-01T12:00:00Z",
    "recorded_at": "2026-03-01T12:00:00+00:00",
}
"""The fields that every stored message has."""


def test_each_field_of_a_message_is_stored() -> None:
    assert set(MessageContent.model_fields) <= set(StoredMessage.__struct_fields__)


def test_whatever_a_caller_may_filter_by_is_indexed() -> None:
    assert set(KEYWORDS) == set(Filter.model_fields) - {"after", "before", "metadata"}
    assert {name for name, index in INDEXES.items() if index is Index.TIME} == {
        "occurred_at",
        "recorded_at",
        "expires_at",
    }


def test_what_is_written_is_read_back() -> None:
    message = StoredMessage.read({**LEAST, "speaker": "Zoë", "metadata": {"a.b": [1, None]}, "chunks": 2})

    assert StoredMessage.read(message.written()) == message


def test_a_field_that_an_older_release_did_not_write_has_its_default() -> None:
    message = StoredMessage.read(LEAST)

    assert (message.chunk, message.chunks, message.role, message.metadata) == (0, 1, "user", {})
    assert message.occurred_at == message.recorded_at == NOON


def test_a_field_that_a_newer_release_writes_is_passed_over() -> None:
    assert StoredMessage.read({**LEAST, "mood": "cheerful"}) == StoredMessage.read(LEAST)


@pytest.mark.parametrize("change", [{"text": 7}, {"occurred_at": "yesterday"}, {"chunks": "two"}, {"metadata": []}])
def test_a_field_of_another_type_is_an_error(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        StoredMessage.read(LEAST | change)


@pytest.mark.parametrize("field", LEAST)
def test_a_message_without_one_of_its_first_fields_is_an_error(field: str) -> None:
    with pytest.raises(ValueError, match=field):
        StoredMessage.read({name: value for name, value in LEAST.items() if name != field})


def test_the_whole_text_stands_for_a_message_of_several_chunks() -> None:
    first = StoredMessage.read({**LEAST, "full_text": "Hello. And so on.", "chunks": 2})

    assert first.content["text"] == "Hello. And so on."
    assert StoredMessage.read(LEAST).content["text"] == "Hello"
