"""Posting to ingest, on a running stack: what is appended, and what is answered."""

import asyncio
import json
from typing import Any

from exchanges import answered, entries_of, line, post, post_lines, problem
from running_stack import RunningStack

from memstream.contracts.keys import Position


async def test_a_posted_message_lies_at_the_position_it_was_given(stack: RunningStack, user: str) -> None:
    accepted = await post(stack.ingest, user, "The ferry leaves at nine.", message_id="ferry", speaker="Ana")

    position = Position.parse(accepted["position"])
    entry: Any = await stack.redis.xrange(position.stream, position.entry_id, position.entry_id)
    (event,) = await entries_of(stack.redis, user)
    assert json.loads(entry[0][1][b"data"]) == event
    assert (accepted["message_id"], accepted["duplicate"]) == ("ferry", False)
    assert (event["text"], event["speaker"], event["tenant"]) == ("The ferry leaves at nine.", "Ana", "local")


async def test_a_message_without_an_id_is_given_one_that_names_it(stack: RunningStack, user: str) -> None:
    first = await post(stack.ingest, user, "hello")
    second = await post(stack.ingest, user, "hello")

    assert first["message_id"] != second["message_id"]
    assert [e["message_id"] for e in await entries_of(stack.redis, user)] == [
        first["message_id"],
        second["message_id"],
    ]


async def test_a_repeat_gives_the_first_position_and_adds_nothing(stack: RunningStack, user: str) -> None:
    first = await post(stack.ingest, user, "hello", message_id="m")
    again = await post(stack.ingest, user, "hello", message_id="m")

    assert again == {**first, "duplicate": True}
    assert len(await entries_of(stack.redis, user)) == 1


async def test_posts_of_one_id_at_the_same_time_make_one_entry(stack: RunningStack, user: str) -> None:
    answers = await asyncio.gather(*(post(stack.ingest, user, "hello", message_id="m") for _ in range(50)))

    assert len({answer["position"] for answer in answers}) == 1
    assert sorted(answer["duplicate"] for answer in answers) == [False] + [True] * 49
    assert len(await entries_of(stack.redis, user)) == 1


async def test_of_a_batch_only_what_an_erased_user_said_is_taken_anew(stack: RunningStack, user: str) -> None:
    users = [f"{user}-a", f"{user}-b", f"{user}-a", f"{user}-c", f"{user}-b"]
    batch = b"\n".join(line(name, str(number), "what was said " * number) for number, name in enumerate(users, 1))
    first = answered(await post_lines(stack.ingest, batch), 200)
    answered(await stack.ingest.delete("/v1/users", params={"user_id": f"{user}-b"}), 202)

    again = answered(await post_lines(stack.ingest, batch), 200)

    assert [result["duplicate"] for result in again["results"]] == [True, False, True, True, False]
    same = [one["position"] == two["position"] for one, two in zip(first["results"], again["results"], strict=True)]
    assert same == [True, False, True, True, False]
    texts = [entry["text"] for entry in await entries_of(stack.redis, f"{user}-b") if "text" in entry]
    assert texts == ["what was said " * 2, "what was said " * 5] * 2


async def test_one_id_is_another_message_with_another_user(stack: RunningStack, user: str) -> None:
    mine = await post(stack.ingest, user, "mine", message_id="m")
    theirs = await post(stack.ingest, f"{user}-b", "theirs", message_id="m")

    assert not theirs["duplicate"]
    assert mine["position"] != theirs["position"]


async def test_bad_lines_do_not_spoil_the_good_ones_and_all_are_answered_in_order(
    stack: RunningStack, user: str
) -> None:
    bad = [b"{not json", b'{"user_id": "a"}', b"[]", b'"text"', b"\xff\xfe", line(user, "x", colour="red")]
    lines = [line(user, "first"), *bad, line(user, "second"), line(user, "first")]

    out = answered(await post_lines(stack.ingest, b"\n".join(lines)), 200)

    assert (out["accepted"], out["duplicates"], out["rejected"]) == (2, 1, len(bad))
    assert [result["index"] for result in out["results"]] == list(range(len(lines)))
    assert [result.get("duplicate") for result in out["results"]] == [False, *[None] * len(bad), False, True]
    assert [e["message_id"] for e in await entries_of(stack.redis, user)] == ["first", "second"]


async def test_a_refused_line_says_why(stack: RunningStack, user: str) -> None:
    lines = [b"{not json", b'{"user_id": "a"}', b"\xff", line(user, "x", colour="red"), line(user, "x", text=" ")]

    out = answered(await post_lines(stack.ingest, b"\n".join(lines)), 200)

    errors = [result["error"] for result in out["results"]]
    assert [error["code"] for error in errors] == ["malformed", "invalid", "malformed", "invalid", "invalid"]
    assert [error["message"].partition(":")[0] for error in errors[1:2] + errors[3:]] == ["text", "colour", "text"]


async def test_of_very_many_errors_in_a_line_a_few_are_told(stack: RunningStack, user: str) -> None:
    unknown: dict[str, Any] = {"k" * 10_000: 1, **{f"field {n}": n for n in range(10_000)}}
    bad = line(user, "m", "hello", **unknown)

    response = await post_lines(stack.ingest, bad)

    error = answered(response, 200)["results"][0]["error"]["message"]
    assert len(error) < 1000
    assert "and 9996 more" in error


async def test_a_json_list_is_answered_like_lines(stack: RunningStack, user: str) -> None:
    messages = [
        {"user_id": user, "message_id": "a", "text": "hello", "occurred_at": "2025-05-01T10:00:00+02:00"},
        {"user_id": user, "text": 5},
        "no message",
        {"user_id": user, "message_id": "b", "text": "hello"},
    ]

    out = answered(await stack.ingest.post("/v1/messages/batch", json={"messages": messages}), 200)

    assert (out["accepted"], out["duplicates"], out["rejected"]) == (2, 0, 2)
    assert ["error" in result for result in out["results"]] == [False, True, True, False]
    assert [e["occurred_at"] for e in await entries_of(stack.redis, user)][:1] == ["2025-05-01T08:00:00Z"]


async def test_messages_of_a_batch_lie_in_the_order_they_came_in(stack: RunningStack, user: str) -> None:
    names = [f"m-{n}" for n in range(300)]

    out = answered(await post_lines(stack.ingest, b"\n".join(line(user, name) for name in names)), 200)

    orders = [Position.parse(result["position"]).order for result in out["results"]]
    assert orders == sorted(set(orders))
    assert [e["message_id"] for e in await entries_of(stack.redis, user)] == names


async def test_a_bulk_batch_lies_in_the_bulk_stream(stack: RunningStack, user: str) -> None:
    by_lines = answered(await post_lines(stack.ingest, line(user, "a"), lane="bulk"), 200)
    body = {"messages": [{"user_id": user, "message_id": "b", "text": "hello"}], "lane": "bulk"}
    by_list = answered(await stack.ingest.post("/v1/messages/batch", json=body), 200)

    assert {Position.parse(out["results"][0]["position"]).lane for out in (by_lines, by_list)} == {"bulk"}
    assert [e["message_id"] for e in await entries_of(stack.redis, user, "bulk")] == ["a", "b"]
    assert await entries_of(stack.redis, user, "live") == []


async def test_a_message_posted_in_both_lanes_is_one_message(stack: RunningStack, user: str) -> None:
    live = await post(stack.ingest, user, "hello", message_id="m")
    out = answered(await post_lines(stack.ingest, line(user, "m"), lane="bulk"), 200)

    assert out["duplicates"] == 1
    assert out["results"][0]["position"] == live["position"]


async def test_an_unknown_lane_is_refused_by_name(stack: RunningStack, user: str) -> None:
    by_lines = problem(await post_lines(stack.ingest, line(user, "a"), lane="fast"), 422, "invalid")
    body = {"messages": [{"user_id": user, "text": "hello"}], "lane": "fast"}
    by_list = problem(await stack.ingest.post("/v1/messages/batch", json=body), 422, "invalid")

    assert by_lines["errors"] == by_list["errors"]
    assert by_list["errors"] == [{"field": "lane", "message": "Input should be 'live' or 'bulk'"}]
    assert await entries_of(stack.redis, user) == []


async def test_line_ends_may_be_windows_and_blank_lines_and_the_last_end_are_no_matter(
    stack: RunningStack, user: str
) -> None:
    body = b"\r\n" + line(user, "a") + b"\r\n\r\n  \n" + line(user, "b") + b"\n\n" + line(user, "c")

    out = answered(await post_lines(stack.ingest, body), 200)

    assert (out["accepted"], out["rejected"]) == (3, 0)
    assert [result["index"] for result in out["results"]] == [0, 1, 2]


async def test_an_empty_batch_adds_nothing(stack: RunningStack) -> None:
    nothing = {"accepted": 0, "duplicates": 0, "rejected": 0, "results": []}

    assert answered(await post_lines(stack.ingest, b""), 200) == nothing
    assert answered(await stack.ingest.post("/v1/messages/batch", json={"messages": []}), 200) == nothing
