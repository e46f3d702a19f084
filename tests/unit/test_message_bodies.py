"""What ingest takes as a message, and what it refuses before anything is appended."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from unit.manual_clock import START

from memstream.contracts.limits import Limits
from memstream.contracts.messages import MessageIn

KIB = 1024
CONTEXT = {"limits": Limits(), "now": START}


def taken(**fields: Any) -> MessageIn:  # noqa: ANN401 - any JSON
    """Read a message as it comes over HTTP; what isn't given is fine."""
    body = json.dumps({"user_id": "ana", "text": "hello", **fields}, ensure_ascii=False)
    return MessageIn.model_validate_json(body, context=CONTEXT)


def refused(**fields: Any) -> str:  # noqa: ANN401 - any JSON
    """Give the one reason for which a message is refused, after its field."""
    with pytest.raises(ValidationError) as caught:
        taken(**fields)
    (fault,) = caught.value.errors()
    return f"{'.'.join(map(str, fault['loc']))}: {fault['msg'].removeprefix('Value error, ')}"


def test_user_and_text_are_enough() -> None:
    message = taken()

    assert (message.role, message.kind, message.metadata) == ("user", "message", {})
    assert not {message.message_id, message.occurred_at, message.speaker, message.conversation_id} - {None}


def test_text_is_kept_exactly_as_given() -> None:
    text = "  Grüße 👩‍👩‍👧\r\n\t„ja“ \u200b\u2028 e\u0301 "

    assert taken(text=text).text == text


@pytest.mark.parametrize("text", ["", " ", "\n\t", "\u3000\u2003", "\u2028"])
def test_a_text_that_says_nothing_is_refused(text: str) -> None:
    assert refused(text=text) in {"text: is blank", "text: String should have at least 1 character"}


@pytest.mark.parametrize("text", ["a" * 64 * KIB, "é" * 32 * KIB, "👍" * 16 * KIB])
def test_a_text_of_64_kib_is_taken(text: str) -> None:
    assert taken(text=text).text == text


@pytest.mark.parametrize("text", ["a" * (64 * KIB + 1), "é" * 32 * KIB + "a", "👍" * (16 * KIB + 1)])
def test_a_larger_text_is_refused_by_its_bytes(text: str) -> None:
    assert refused(text=text) == f"text: is {len(text.encode())} bytes of UTF-8, the limit is 65536"


def test_a_nul_is_refused_with_its_place() -> None:
    assert refused(text="ab\0c") == "text: holds a NUL character, at index 2"


@pytest.mark.parametrize("field", ["user_id", "text", "message_id", "conversation_id", "role", "speaker", "kind"])
@pytest.mark.parametrize("value", [1, 1.5, True, ["a"], {"a": "b"}])
def test_a_value_of_the_wrong_type_is_refused_with_its_field(field: str, value: object) -> None:
    assert refused(**{field: value}) == f"{field}: Input should be a valid string"


@pytest.mark.parametrize("field", ["user_id", "text", "role", "kind", "metadata"])
def test_a_null_is_refused_where_something_has_to_be(field: str) -> None:
    assert refused(**{field: None}).startswith(f"{field}: Input should be")


@pytest.mark.parametrize("field", ["message_id", "conversation_id", "speaker", "occurred_at"])
def test_a_null_is_as_good_as_nothing_elsewhere(field: str) -> None:
    assert getattr(taken(**{field: None}), field) is None


@pytest.mark.parametrize("field", ["user_id", "text"])
def test_a_missing_field_is_named(field: str) -> None:
    body = {name: value for name, value in {"user_id": "a", "text": "b"}.items() if name != field}
    with pytest.raises(ValidationError) as caught:
        MessageIn.model_validate_json(json.dumps(body), context=CONTEXT)

    assert [(fault["loc"], fault["type"]) for fault in caught.value.errors()] == [((field,), "missing")]


@pytest.mark.parametrize("field", ["tenant", "recorded_at", "Text", "user", ""])
def test_an_unknown_field_is_refused_by_name(field: str) -> None:
    assert refused(**{field: "x"}) == f"{field}: Extra inputs are not permitted"


@pytest.mark.parametrize("fields", [{}, {"kind": "message"}, {"kind": "Document"}, {"kind": "documents"}])
def test_only_documents_belong_to_all_users(fields: dict[str, str]) -> None:
    kind = fields.get("kind", "message")

    assert taken(user_id="*", kind="document").user_id == "*"
    assert refused(user_id="*", **fields) == (
        f"kind: is '{kind}'; what belongs to all users, user_id '*', is of kind 'document'"
    )


def test_a_document_may_belong_to_one_user() -> None:
    assert taken(kind="document").kind == "document"


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"[]", b'"text"', b"null", b"hello", b'{"user_id": "a", "text": "b"} x', b"[" * 100_000),
        *(b'{"user_id": "a", "text": "\xff"}', b'{"user_id": "a", "text": "\xed\xa0\x80"}', b"\xff\xfe{\0}\0"),
        *(b'{"user_id": "a", "text": "\\ud800"}', b'{"user_id": "\\udc00", "text": "b"}'),
        b'{"user_id": "a", "text": "a\nb"}',
    ],
)
def test_what_is_no_json_object_of_utf_8_is_refused(body: bytes) -> None:
    with pytest.raises(ValidationError):
        MessageIn.model_validate_json(body, context=CONTEXT)


def test_a_lone_surrogate_is_refused_in_items_of_a_batch_too() -> None:
    with pytest.raises(ValidationError) as caught:
        MessageIn.model_validate({"user_id": "a", "text": "\ud800"}, context=CONTEXT)

    assert caught.value.errors()[0]["loc"] == ("text",)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-01-31T09:30:00Z", datetime(2026, 1, 31, 9, 30, tzinfo=UTC)),
        ("2026-01-31T09:30:00+01:00", datetime(2026, 1, 31, 8, 30, tzinfo=UTC)),
        ("2026-01-31 09:30:00.25-05:30", datetime(2026, 1, 31, 15, 0, 0, 250_000, tzinfo=UTC)),
        ("2026-03-02T09:30:00Z", START + timedelta(days=1)),
        ("1900-01-01T00:00:00Z", datetime(1900, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_time_is_kept_in_utc(written: str, meant: datetime) -> None:
    occurred_at = taken(occurred_at=written).occurred_at

    assert occurred_at == meant
    assert occurred_at is not None
    assert occurred_at.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "value", [1_700_000_000, 1.7e9, -1, 0, "1700000000", "1.7e9", "2026-01-31", "yesterday", "", True]
)
def test_what_is_not_written_as_a_time_is_refused(value: object) -> None:
    assert refused(occurred_at=value) == "occurred_at: is not an RFC 3339 time such as 2026-01-31T09:30:00+01:00"


@pytest.mark.parametrize(
    "value", ["2026-02-30T00:00:00Z", "2026-01-31T25:00:00Z", "2026-01-31Tnoon", "0000-01-01T00:00:00Z"]
)
def test_a_time_that_is_none_is_refused(value: str) -> None:
    assert refused(occurred_at=value).startswith("occurred_at: Input should be a valid datetime")


def test_a_time_without_a_zone_is_refused() -> None:
    assert refused(occurred_at="2026-01-31T09:30:00").startswith("occurred_at: has no time zone")


@pytest.mark.parametrize("value", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_time_beyond_the_calendar_in_utc_is_refused(value: str) -> None:
    assert refused(occurred_at=value) == "occurred_at: is outside the years 1 to 9999"


@pytest.mark.parametrize("value", ["0001-01-01T00:00:00Z", "1899-12-31T23:59:59Z", "1900-01-01T00:00:00+00:01"])
def test_a_time_of_a_broken_clock_is_refused(value: str) -> None:
    assert refused(occurred_at=value) == "occurred_at: is before 1900-01-01, the earliest time accepted"


@pytest.mark.parametrize("value", ["2026-03-02T09:30:01Z", "9999-12-31T23:59:59Z"])
def test_a_time_of_more_than_a_day_ahead_is_refused(value: str) -> None:
    assert refused(occurred_at=value) == "occurred_at: is more than 1 day, 0:00:00 ahead of the server's clock"


def test_metadata_of_any_json_is_kept() -> None:
    metadata = {"a.b": 1, "deep": {"er": [{"x": None}]}, "Zoë 👍": "…", "f": 1.5, "t": True, "n": "\\ \0\n"}

    assert taken(metadata=metadata).metadata == metadata


def test_metadata_of_32_keys_is_taken_and_of_33_refused() -> None:
    assert len(taken(metadata={str(n): n for n in range(32)}).metadata) == 32
    assert refused(metadata={str(n): n for n in range(33)}) == "metadata: has 33 keys, the limit is 32"


@pytest.mark.parametrize("letter", ["a", "é", "👍"])
def test_metadata_is_limited_in_bytes_as_compact_json(letter: str) -> None:
    room = 4 * KIB - len('{"k":""}')
    most = letter * (room // len(letter.encode()))

    assert taken(metadata={"k": most}).metadata["k"] == most
    assert refused(metadata={"k": most + letter}).endswith("bytes of JSON, the limit is 4096")


@pytest.mark.parametrize("key", ["", 'a"b', "\0", "a\nb", "\x7f", "\u2028", "\u200b"])
def test_metadata_with_an_odd_key_is_refused(key: str) -> None:
    assert refused(metadata={key: 1}).startswith(f"metadata: has the key {key!r}")


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", '{"deep": [NaN]}', "9" * 5000])
def test_metadata_that_json_cannot_carry_is_refused(value: str) -> None:
    with pytest.raises(ValidationError) as caught:
        MessageIn.model_validate_json(f'{{"user_id": "a", "text": "b", "metadata": {{"k": {value}}}}}', context=CONTEXT)

    assert "JSON" in caught.value.errors()[0]["msg"]


def test_metadata_that_is_nested_too_deeply_is_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(126):
        deep = {"a": deep}

    assert refused(metadata=deep).startswith("metadata: ")


@pytest.mark.parametrize("value", ["a", 1, [], [["a", 1]], True])
def test_metadata_that_is_no_object_is_refused(value: object) -> None:
    assert refused(metadata=value) == "metadata: Input should be an object"


@given(st.text(max_size=300))
def test_any_text_is_kept_or_refused_and_never_changed(text: str) -> None:
    try:
        message = MessageIn.model_validate({"user_id": "a", "text": text}, context=CONTEXT)
    except ValidationError:
        assert not text.strip() or "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text)
    else:
        assert message.text == text


@given(st.binary(max_size=60))
def test_no_bytes_cause_anything_but_a_refusal(body: bytes) -> None:
    with pytest.raises(ValidationError):
        MessageIn.model_validate_json(body, context=CONTEXT)
