"""A user's messages in time order, page by page, on a running stack."""

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import numpy as np
import pytest
from exchanges import answered, fields_of, post, problem, search
from running_stack import RunningStack
from waiting import until

from memstream.client import InvalidRequest, Memstream
from memstream.contracts.keys import Position
from memstream.vectors.store import EmbeddedChunk, MemoryStore, StoredMessage, owner_of

NOON = datetime(2025, 5, 1, 12, tzinfo=UTC)


async def page(stack: RunningStack, user: str, **params: Any) -> dict[str, Any]:  # noqa: ANN401 - of a request
    """Ask for a page."""
    return answered(await stack.retriever.get("/v1/timeline", params={"user_id": user, **params}), 200)


async def walked(stack: RunningStack, user: str, **params: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - as above
    """Follow the cursors to the end; give all messages."""
    found: list[dict[str, Any]] = []
    while True:
        got = await page(stack, user, **params)
        found += got["messages"]
        assert len(got["messages"]) <= int(params.get("limit", 50))
        if got["cursor"] is None:
            return found
        params["cursor"] = got["cursor"]


def names(messages: list[dict[str, Any]]) -> list[str]:
    """Name messages, in their order."""
    return [message["message_id"] for message in messages]


async def say(stack: RunningStack, user: str, *names: str, minute: int | None = None, **fields: Any) -> None:  # noqa: ANN401
    """Post messages, a minute apart or at one time, and wait until they are stored."""
    bodies = [
        {
            "user_id": user,
            "message_id": name,
            "text": f"This is {name}.",
            "occurred_at": (NOON + timedelta(minutes=n if minute is None else minute)).isoformat(),
            **fields,
        }
        for n, name in enumerate(names)
    ]
    posted = answered(await stack.ingest.post("/v1/messages/batch", json={"messages": bodies}), 200)
    positions = [result["position"] for result in posted["results"]]
    await search(stack.retriever, user, "x", mode="keyword", wait_for=positions)


async def test_messages_come_by_the_time_they_were_said_whenever_they_were_posted(
    stack: RunningStack, user: str
) -> None:
    await say(stack, user, "late", minute=9)
    await say(stack, user, "a", "b", "c")

    assert names(await walked(stack, user)) == ["a", "b", "c", "late"]


async def test_a_message_is_given_as_it_was_posted(stack: RunningStack, user: str) -> None:
    message = {
        "message_id": "m 1",
        "conversation_id": "c",
        "role": "assistant",
        "speaker": "Zoë",
        "kind": "note",
        "metadata": {"a.b": [1, {"c": None}]},
    }
    text = "  Kept exactly:\ttabs, « quotes », \u200dand 🔑🏽 \n"
    sent = await post(stack.ingest, user, text, occurred_at="2025-05-01T12:00:00+02:00", **message)
    await search(stack.retriever, user, "x", wait_for=[sent["position"]])

    (given,) = await walked(stack, user)

    recorded_at = datetime.fromisoformat(given.pop("recorded_at"))
    appended = datetime.fromtimestamp(Position.parse(sent["position"]).order[0] / 1000, UTC)
    assert given == {**message, "text": text, "occurred_at": "2025-05-01T10:00:00Z", "expires_at": None}
    assert abs(appended - recorded_at) < timedelta(minutes=5)


async def test_a_long_message_is_there_once_and_whole(stack: RunningStack, user: str) -> None:
    text = " ".join(f"Paragraph {n} is about the lighthouse and its keeper number {n}." for n in range(300))
    await say(stack, user, "before", "after")
    await say(stack, user, "long", minute=0, text=text)

    found = await walked(stack, user, limit=1)

    assert names(found) == ["before", "long", "after"]
    assert found[1]["text"] == text


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 7, 29, 30, 31, 100])
async def test_pages_of_any_size_give_everything_once_in_one_order(
    stack: RunningStack, store: MemoryStore, limit: int
) -> None:
    """Few different times, so that most messages share one, both when they were said and when they were recorded."""
    user = f"paged by {limit}"
    expected = await with_equal_times(store, user, Random(limit))  # noqa: S311 - the same times at every run

    assert names(await walked(stack, user, limit=limit)) == expected


async def with_equal_times(store: MemoryStore, user: str, chance: Random, count: int = 30) -> list[str]:
    """Store messages of few different times; give them in their order."""
    owner = owner_of("local", user)
    places = {}
    chunks = []
    for n in range(count):
        times = [NOON + timedelta(microseconds=chance.randrange(3)) for _ in range(2)]
        places[str(n)] = (*times, str(owner.point_id(str(n), 0)))
        message = StoredMessage(
            owner=owner.name, message_id=str(n), text="x", occurred_at=times[0], recorded_at=times[1]
        )
        chunks.append(EmbeddedChunk(owner, message, np.full(384, 0.05, np.float32), "x"))
    await store.store(chunks)
    return sorted(places, key=places.__getitem__)


async def test_what_comes_and_goes_between_pages_moves_nothing_else(stack: RunningStack, user: str) -> None:
    await say(stack, user, *(f"m{n}" for n in range(8)))
    first = await page(stack, user, limit=4)

    # The last one of the page itself goes, so does one of the next page; others come before, among and behind.
    for gone in ("m3", "m5"):
        asked = await stack.ingest.delete("/v1/messages", params={"user_id": user, "message_id": gone})
        await forgotten(stack, answered(asked, 202)["erasure_id"])
    await say(stack, user, "too early", minute=0)
    await say(stack, user, "among", minute=4)
    await say(stack, user, "behind", minute=99)
    second = await walked(stack, user, limit=2, cursor=first["cursor"])

    assert names(first["messages"]) == ["m0", "m1", "m2", "m3"]
    assert names(second) == ["m4", "among", "m6", "m7", "behind"]


async def forgotten(stack: RunningStack, erasure_id: str) -> None:
    """Wait until a message is gone."""

    async def done() -> bool:
        return bool((await stack.ingest.get(f"/v1/erasures/{erasure_id}")).json()["state"] == "done")

    await until(done, "the message is gone")


async def test_a_timeline_can_be_narrowed_down(stack: RunningStack, user: str) -> None:
    await say(stack, user, "a0", "a1", "a2", "a3", conversation_id="a")
    await say(stack, user, "b0", "b1", "b2", "b3", conversation_id="b")
    after, before = ((NOON + timedelta(minutes=minute)).isoformat() for minute in (1, 3))

    for limit in (1, 3, 100):
        assert names(await walked(stack, user, limit=limit, conversation_id="b")) == ["b0", "b1", "b2", "b3"]
        assert names(await walked(stack, user, limit=limit, after=after)) == ["a1", "b1", "a2", "b2", "a3", "b3"]
        assert names(await walked(stack, user, limit=limit, before=after)) == ["a0", "b0"]
        assert names(await walked(stack, user, limit=limit, after=after, before=before, conversation_id="a")) == [
            *("a1", "a2")
        ]
        assert await walked(stack, user, limit=limit, after=before, before=after) == []


async def test_a_cursor_may_be_used_with_other_conditions(stack: RunningStack, user: str) -> None:
    await say(stack, user, *(f"m{n}" for n in range(6)))
    cursor = (await page(stack, user, limit=2))["cursor"]

    after = (NOON + timedelta(minutes=4)).isoformat()
    assert names(await walked(stack, user, cursor=cursor, after=after)) == ["m4", "m5"]
    assert names(await walked(stack, user, cursor=cursor, after=NOON.isoformat())) == ["m2", "m3", "m4", "m5"]


async def test_somebody_elses_cursor_leads_to_ones_own_messages_alone(stack: RunningStack, user: str) -> None:
    await say(stack, f"{user}-a", "a0", "a1", "a2", "a3")
    await say(stack, f"{user}-b", "b0", "b1", "b2", "b3")
    cursor = (await page(stack, f"{user}-a", limit=2))["cursor"]

    assert names(await walked(stack, f"{user}-b", cursor=cursor)) == ["b1", "b2", "b3"]


async def test_nothing_is_known_of_an_unknown_user(stack: RunningStack) -> None:
    assert await page(stack, "nobody at all") == {"messages": [], "cursor": None}


BAD_CURSORS = ["", "x", "e30", "W10=", "bnVsbA==", "WzEsMiwzXQ==", "🔑", "[" * 2000]


@pytest.mark.parametrize(
    ("params", "field"),
    [
        *(({"cursor": cursor}, "cursor") for cursor in BAD_CURSORS),
        *(({"limit": limit}, "limit") for limit in (0, 101, -1, "many", "1.5", 10**30)),
        ({"after": "2025-05-01T12:00:00"}, "after"),
        ({"before": "1714564800"}, "before"),
        ({"conversation_id": ""}, "conversation_id"),
        ({"user_id": ""}, "user_id"),
        ({"user_id": "u" * 257}, "user_id"),
        ({"colour": "red"}, "colour"),
    ],
    ids=repr,
)
async def test_a_bad_parameter_is_refused_by_name(stack: RunningStack, params: dict[str, Any], field: str) -> None:
    refused = await stack.retriever.get("/v1/timeline", params={"user_id": "ana", **params})

    assert fields_of(problem(refused, 422, "invalid")) == [field]


async def test_a_timeline_needs_a_user(stack: RunningStack) -> None:
    assert fields_of(problem(await stack.retriever.get("/v1/timeline"), 422, "invalid")) == ["user_id"]


async def test_a_stranger_learns_nothing(stack: RunningStack) -> None:
    for params in ({"user_id": "ana"}, {}, {"limit": "x"}):
        refused = await stack.retriever.get("/v1/timeline", params=params, headers={"authorization": "Bearer no"})

        problem(refused, 401, "unauthenticated")


async def test_the_client_gives_pages_and_all_messages(stack: RunningStack, user: str) -> None:
    await say(stack, user, *(f"m{n}" for n in range(5)))
    info = stack.info
    async with Memstream(ingest_url=info.ingest_url, retriever_url=info.retriever_url, api_key=info.api_key) as memory:
        first = await memory.timeline(user, limit=2, after=NOON + timedelta(minutes=1))
        second = await memory.timeline(user, limit=2, cursor=first.cursor)
        everything = [message.message_id async for message in memory.messages(user, limit=2)]
        with pytest.raises(InvalidRequest, match="limit"):
            await memory.timeline(user, limit=0)
        with pytest.raises(InvalidRequest, match="cursor"):
            await memory.timeline(user, cursor="none")

    assert [message.message_id for message in first.messages] == ["m1", "m2"]
    assert [message.message_id for message in second.messages] == ["m3", "m4"]
    assert (second.cursor, everything) == (None, ["m0", "m1", "m2", "m3", "m4"])
