"""What ingest refuses, and with which words; and odd input it takes all the same."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from exchanges import answered, entries_of, fields_of, post, problem
from running_stack import RunningStack

from memstream.runtime.clock import SystemClock

LONGEST_TEXT = 64 * 1024


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("text", ""),
        ("text", " \n\t "),
        ("text", "w" * (LONGEST_TEXT + 1)),
        ("text", "🔑" * (LONGEST_TEXT // 4 + 1)),
        ("text", 5),
        ("text", None),
        ("text", ["hello"]),
        ("text", "hel\0lo"),
        ("user_id", ""),
        ("user_id", 7),
        ("user_id", None),
        ("user_id", "u" * 257),
        ("user_id", "é" * 129),
        ("user_id", "ana\nmaria"),
        ("user_id", "ana\0"),
        ("message_id", ""),
        ("message_id", "m" * 257),
        ("message_id", 12),
        ("message_id", "m\u2028"),
        ("conversation_id", ""),
        ("role", "r" * 257),
        ("speaker", "\x07"),
        ("kind", False),
        ("occurred_at", "2025-05-01T10:00:00"),
        ("occurred_at", "2025-05-01"),
        ("occurred_at", "yesterday"),
        ("occurred_at", 1_700_000_000),
        ("occurred_at", "2025-02-30T10:00:00Z"),
        ("occurred_at", "2025-05-01T25:00:00Z"),
        ("occurred_at", "0001-01-01T00:00:00+14:00"),
        ("occurred_at", "9999-12-31T23:59:59-14:00"),
        ("occurred_at", "1850-01-01T00:00:00Z"),
        ("occurred_at", ""),
        ("metadata", []),
        ("metadata", "x"),
        ("metadata", {f"k{n}": n for n in range(33)}),
        ("metadata", {"k": "v" * 4096}),
        ("metadata", {"": 1}),
        ("metadata", {'a"b': 1}),
        ("colour", "red"),
        ("tenant", "other"),
    ],
    ids=lambda value: repr(value)[:24],
)
async def test_a_bad_field_is_refused_by_name(stack: RunningStack, user: str, field: str, value: object) -> None:
    body = {"user_id": user, "text": "hello", field: value}

    refused = problem(await stack.ingest.post("/v1/messages", json=body), 422, "invalid")

    assert fields_of(refused) == [field]
    assert refused["errors"][0]["message"] in refused["detail"]
    assert await entries_of(stack.redis, user) == []


async def test_a_missing_field_is_named(stack: RunningStack) -> None:
    assert fields_of(problem(await stack.ingest.post("/v1/messages", json={}), 422, "invalid")) == ["user_id", "text"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null and void",
        b'{"user_id": "ana", "text": "\xff\xfe"}',
        b'{"user_id": "ana", "text": "\\ud800"}',
        b'{"user_id": "ana", "text": "hello"} and more',
        b"\xff\xfe{\x00",
        b"[" * 100_000,
    ],
    ids=lambda body: repr(body)[:24],
)
async def test_a_body_that_is_no_json_is_a_bad_request(stack: RunningStack, body: bytes) -> None:
    response = await stack.ingest.post("/v1/messages", content=body, headers={"content-type": "application/json"})

    problem(response, 400, "invalid")


@pytest.mark.parametrize("body", [b"[]", b"null", b"5", b'"text"', b"true"])
async def test_json_that_is_no_object_does_not_fit(stack: RunningStack, body: bytes) -> None:
    response = await stack.ingest.post("/v1/messages", content=body, headers={"content-type": "application/json"})

    problem(response, 422, "invalid")


@pytest.mark.parametrize("body", [{}, {"messages": "x"}, {"messages": None}, {"messages": [], "more": 1}, []])
async def test_a_list_of_another_shape_does_not_fit(stack: RunningStack, body: object) -> None:
    problem(await stack.ingest.post("/v1/messages/batch", json=body), 422, "invalid")


async def test_a_time_too_far_ahead_is_refused_and_a_clock_that_is_fast_is_not(stack: RunningStack, user: str) -> None:
    now = SystemClock().now()
    far = {"user_id": user, "text": "hello", "occurred_at": (now + timedelta(hours=25)).isoformat()}

    refused = problem(await stack.ingest.post("/v1/messages", json=far), 422, "invalid")
    await post(stack.ingest, user, "hello", occurred_at=(now + timedelta(hours=23)).isoformat())

    assert fields_of(refused) == ["occurred_at"]


@pytest.mark.parametrize("written", ["2025-05-01T10:00:00Z", "2025-05-01T12:00:00+02:00", "2025-05-01t10:00:00z"])
async def test_a_time_is_kept_in_utc(stack: RunningStack, user: str, written: str) -> None:
    await post(stack.ingest, user, "hello", occurred_at=written)

    (event,) = await entries_of(stack.redis, user)
    assert datetime.fromisoformat(event["occurred_at"]) == datetime(2025, 5, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    "name",
    [
        "with spaces",
        " at the ends ",
        "a/b/../c",
        "?user_id=x&message_id=y#z",
        "100%41",
        "+",
        "🔑🏽",
        "é",
        "e\u0301",
        "مرحبا",
        "{0}:live",
        "'; DROP TABLE messages; --",
        "m" * 256,
        "é" * 128,
    ],
    ids=lambda name: ascii(name)[:24],
)
async def test_any_printable_id_is_taken_and_found_again(stack: RunningStack, user: str, name: str) -> None:
    owner = name if len(name.encode()) == 256 else f"{user} {name}"

    accepted = await post(stack.ingest, owner, "hello", message_id=name)
    state = await stack.ingest.get("/v1/messages/state", params={"user_id": owner, "message_id": name})

    assert accepted["message_id"] == name
    assert answered(state, 200)["message_id"] == name
    assert answered(state, 200)["position"] == accepted["position"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"user_id": "ana"}, "message_id"),
        ({"message_id": "m"}, "user_id"),
        ({"user_id": "ana", "message_id": ""}, "message_id"),
        ({"user_id": "ana", "message_id": "m" * 257}, "message_id"),
        ({"user_id": "a\0", "message_id": "m"}, "user_id"),
    ],
    ids=lambda value: repr(value)[:24],
)
async def test_a_bad_question_for_a_state_is_refused_by_name(
    stack: RunningStack, query: dict[str, str], field: str
) -> None:
    refused = problem(await stack.ingest.get("/v1/messages/state", params=query), 422, "invalid")

    assert fields_of(refused) == [field]


@pytest.mark.parametrize(
    "metadata",
    [{"a.b": 1, "nested": {"list": [1, 2.5, None, True]}}, {"🔑": "ключ"}, {"huge": 2**63 - 1, "tiny": -1.5e-300}],
)
async def test_metadata_of_any_json_is_kept(stack: RunningStack, user: str, metadata: dict[str, Any]) -> None:
    await post(stack.ingest, user, "hello", metadata=metadata)

    (event,) = await entries_of(stack.redis, user)
    assert event["metadata"] == metadata
