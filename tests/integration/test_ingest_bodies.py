"""How bodies reach ingest: in pieces, cut short, too large, of the wrong type."""

import json
from collections.abc import AsyncIterator

import pytest
from exchanges import answered, entries_of, fields_of, line, post, post_lines, problem, say
from running_stack import RunningStack

MIB = 1024 * 1024


async def pieces(body: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


async def test_a_body_may_arrive_in_pieces_cut_anywhere(stack: RunningStack, user: str) -> None:
    body = b"\n".join(line(user, f"m-{n}", "¿Dónde está la llave? 🔑") for n in range(20))

    response = await stack.ingest.post(
        "/v1/messages/batch", content=pieces(body, 7), headers={"content-type": "application/x-ndjson"}
    )

    assert answered(response, 200)["accepted"] == 20
    assert {e["text"] for e in await entries_of(stack.redis, user)} == {"¿Dónde está la llave? 🔑"}


def cut_short(stack: RunningStack, path: str, media: str, body: bytes) -> bytes:
    """Write a request whose announced body is longer than what follows."""
    head = (
        f"POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {stack.info.api_key}\r\n"
        f"content-type: {media}\r\ncontent-length: {len(body) + 100}\r\n\r\n"
    )
    return head.encode() + body


@pytest.mark.parametrize(
    ("path", "media"), [("/v1/messages", "application/json"), ("/v1/messages/batch", "application/x-ndjson")]
)
async def test_of_a_body_that_is_cut_short_nothing_is_appended(
    stack: RunningStack, user: str, path: str, media: str
) -> None:
    await say(
        stack.ingest.base_url,
        cut_short(stack, path, media, line(user, "a") + b"\n" + line(user, "b") + b"\n"),
        close=True,
    )

    await post(stack.ingest, user, "the service goes on", message_id="next")
    assert [e["message_id"] for e in await entries_of(stack.redis, user)] == ["next"]


@pytest.mark.parametrize("media", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "json"])
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/batch"])
async def test_a_body_of_another_type_is_refused(stack: RunningStack, user: str, path: str, media: str) -> None:
    response = await stack.ingest.post(path, content=line(user, "a"), headers={"content-type": media})

    assert "content-type" in problem(response, 415, "unsupported-media-type")["detail"]
    assert await entries_of(stack.redis, user) == []


async def test_a_type_may_carry_a_charset_and_capitals(stack: RunningStack, user: str) -> None:
    for number, (path, media) in enumerate(
        [
            ("/v1/messages", "application/json; charset=utf-8"),
            ("/v1/messages", "Application/JSON"),
            ("/v1/messages/batch", "application/x-NDJSON;charset=UTF-8"),
        ]
    ):
        response = await stack.ingest.post(path, content=line(user, f"{number}"), headers={"content-type": media})
        assert response.is_success, response.text


async def test_a_message_without_a_type_is_taken_as_json(stack: RunningStack, user: str) -> None:
    response = await stack.ingest.post("/v1/messages", content=line(user, "a"))

    assert answered(response, 202)["message_id"] == "a"


@pytest.mark.parametrize("shape", ["lines", "list"])
async def test_a_batch_of_too_many_messages_is_refused_whole(stack: RunningStack, user: str, shape: str) -> None:
    lines = [line(user, f"m-{n}") for n in range(1001)]

    if shape == "lines":
        response = await post_lines(stack.ingest, b"\n".join(lines))
    else:
        messages = [json.loads(one) for one in lines]
        response = await stack.ingest.post("/v1/messages/batch", json={"messages": messages})

    body = problem(response, 413, "too-large")
    assert fields_of(body) == ["messages"]
    assert "1000" in body["detail"]
    assert await entries_of(stack.redis, user) == []


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize("shape", ["lines", "list"])
async def test_a_batch_of_too_many_bytes_is_refused_whole(
    stack: RunningStack, user: str, shape: str, *, announced: bool
) -> None:
    messages = [line(user, f"m-{n}", "word " * 13_000) for n in range(140)]
    assert sum(map(len, messages)) > 8 * MIB
    media, whole = (
        ("application/x-ndjson", b"\n".join(messages))
        if shape == "lines"
        else ("application/json", b'{"messages": [' + b",".join(messages) + b"]}")
    )

    response = await stack.ingest.post(
        "/v1/messages/batch",
        content=whole if announced else pieces(whole, 64 * 1024),
        headers={"content-type": media},
    )

    assert fields_of(problem(response, 413, "too-large")) == ["body"]
    assert await entries_of(stack.redis, user) == []


async def test_a_single_body_that_no_message_needs_is_refused(stack: RunningStack, user: str) -> None:
    response = await stack.ingest.post("/v1/messages", json={"user_id": user, "text": "w" * (2 * MIB)})

    assert fields_of(problem(response, 413, "too-large")) == ["body"]
