"""The turns around a hit, on a running stack."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from exchanges import answered, fields_of, problem, search
from running_stack import RunningStack
from waiting import until

NOON = datetime(2025, 5, 1, 12, tzinfo=UTC)
KEY = "The spare key is under the third flower pot."


async def say(stack: RunningStack, user: str, *messages: dict[str, Any]) -> None:
    """Post messages and wait until they are searchable."""
    bodies = [{"user_id": user, "conversation_id": "c", **message} for message in messages]
    posted = answered(await stack.ingest.post("/v1/messages/batch", json={"messages": bodies}), 200)
    positions = [result["position"] for result in posted["results"]]
    await search(stack.retriever, user, "x", mode="keyword", wait_for=positions)


def turns(count: int, answer: int, *, apart: int = 1, **fields: object) -> list[dict[str, Any]]:
    """Make the turns of a conversation, so many minutes apart; one of them tells where the key is."""
    return [
        {
            "message_id": f"t{n}",
            "text": KEY if n == answer else f"Turn {n} is about the weather.",
            "occurred_at": (NOON + timedelta(minutes=n * apart)).isoformat(),
            **fields,
        }
        for n in range(count)
    ]


async def around(stack: RunningStack, user: str, neighbours: int, **fields: Any) -> tuple[list[str], list[str]]:  # noqa: ANN401 - of a request
    """Ask where the key is; give the names of the turns before and after the answer."""
    found = await search(stack.retriever, user, "Where is the spare key?", neighbours=neighbours, **fields)
    (hit,) = [hit for hit in found["hits"] if hit["text"].startswith(KEY)]
    return [turn["message_id"] for turn in hit["before"]], [turn["message_id"] for turn in hit["after"]]


@pytest.mark.parametrize("apart", [1, 0], ids=["at different times", "all at one time"])
async def test_a_hit_brings_the_turns_around_it_in_their_order(stack: RunningStack, user: str, apart: int) -> None:
    """Of one time, as imports that know the day alone have them, they stand as they were recorded."""
    await say(stack, user, *turns(30, answer=14, apart=apart))

    assert await around(stack, user, 0) == ([], [])
    assert await around(stack, user, 1) == (["t13"], ["t15"])
    assert await around(stack, user, 3) == (["t11", "t12", "t13"], ["t15", "t16", "t17"])
    assert await around(stack, user, 10) == ([f"t{n}" for n in range(4, 14)], [f"t{n}" for n in range(15, 25)])


@pytest.mark.parametrize(("answer", "before", "after"), [(0, [], ["t1", "t2"]), (4, ["t2", "t3"], [])])
async def test_a_conversation_has_a_beginning_and_an_end(
    stack: RunningStack, user: str, answer: int, before: list[str], after: list[str]
) -> None:
    await say(stack, user, *turns(5, answer))

    assert await around(stack, user, 2) == (before, after)


async def test_only_turns_of_the_same_conversation_stand_around(stack: RunningStack, user: str) -> None:
    await say(stack, user, *turns(5, answer=2))
    others = [{**turn, "message_id": f"o{n}", "conversation_id": "d"} for n, turn in enumerate(turns(5, answer=9))]
    await say(stack, user, *others)

    assert await around(stack, user, 2) == (["t0", "t1"], ["t3", "t4"])


async def test_a_message_of_no_conversation_has_no_turns_around_it(stack: RunningStack, user: str) -> None:
    await say(stack, user, *turns(5, answer=2, conversation_id=None))

    assert await around(stack, user, 2) == ([], [])


async def test_only_the_owners_turns_stand_around(stack: RunningStack, user: str) -> None:
    for one in (user, f"{user}-b"):
        await say(stack, one, *turns(5, answer=2))
    await say(stack, f"{user}-b", *({**turn, "message_id": f"theirs{n}"} for n, turn in enumerate(turns(5, answer=9))))

    assert await around(stack, user, 10) == (["t0", "t1"], ["t3", "t4"])


async def test_a_deleted_turn_is_not_there(stack: RunningStack, user: str) -> None:
    await say(stack, user, *turns(5, answer=2))
    asked = await stack.ingest.delete("/v1/messages", params={"user_id": user, "message_id": "t1"})
    erasure = answered(asked, 202)["erasure_id"]

    async def done() -> bool:
        return bool((await stack.ingest.get(f"/v1/erasures/{erasure}")).json()["state"] == "done")

    await until(done, "the turn is gone")

    assert await around(stack, user, 1) == (["t0"], ["t3"])


async def test_what_is_filtered_out_of_the_hits_may_stand_around_them(stack: RunningStack, user: str) -> None:
    """A filter says which messages answer, not what was said around them."""
    messages = turns(5, answer=2, speaker="Ann")
    messages[2]["speaker"] = "Bob"
    await say(stack, user, *messages)

    assert await around(stack, user, 1, filter={"speaker": "Bob"}) == (["t1"], ["t3"])


async def test_of_a_long_turn_its_beginning_is_given(stack: RunningStack, user: str) -> None:
    messages = turns(3, answer=1, speaker="Ann", role="assistant")
    long = " ".join(f"Sentence {n} says nothing about the matter." for n in range(300))
    messages[0]["text"] = long
    await say(stack, user, *messages)

    found = await search(stack.retriever, user, "Where is the spare key?", neighbours=1)

    ((turn,),) = [hit["before"] for hit in found["hits"] if hit["text"] == KEY]
    assert long.startswith(turn.pop("text"))
    assert turn == {"message_id": "t0", "role": "assistant", "speaker": "Ann", "occurred_at": "2025-05-01T12:00:00Z"}


async def test_a_hit_found_by_a_late_part_of_it_has_its_turns_too(stack: RunningStack, user: str) -> None:
    messages = turns(5, answer=2)
    messages[2]["text"] = KEY + " Nothing of note was said." * 300 + " The violin has the combination of the safe."
    await say(stack, user, *messages)

    found = await search(stack.retriever, user, "violin safe combination", mode="keyword", neighbours=1)

    (hit,) = found["hits"]
    assert hit["text"] == messages[2]["text"]
    assert ([turn["message_id"] for turn in hit["before"]], [turn["message_id"] for turn in hit["after"]]) == (
        *(["t1"], ["t3"]),
    )


@pytest.mark.parametrize("value", [-1, 11, 1.5, "1", True, None])
async def test_neighbours_out_of_bounds_are_refused_by_name(stack: RunningStack, value: object) -> None:
    for path, body in (("/v1/search", {}), ("/v1/context", {"token_budget": 100})):
        asked = {"user_id": "ana", "query": "x", "neighbours": value, **body}

        assert fields_of(problem(await stack.retriever.post(path, json=asked), 422, "invalid")) == ["neighbours"]


async def test_a_batch_has_a_bound_on_hits_with_neighbours(stack: RunningStack) -> None:
    searches = [{"user_id": "ana", "query": "x", "limit": 100, "neighbours": 1}] * 11

    refused = await stack.retriever.post("/v1/search/batch", json={"searches": searches})

    assert fields_of(problem(refused, 422, "invalid")) == ["searches"]
    assert "1100" in refused.text


async def test_a_context_quotes_the_turns_around_as_far_as_they_fit(stack: RunningStack, user: str) -> None:
    await say(stack, user, *turns(7, answer=3))

    async def cited(budget: int, neighbours: int) -> list[str]:
        body = {"user_id": user, "query": "Where is the spare key?", "token_budget": budget, "limit": 1}
        answer = await stack.retriever.post("/v1/context", json={**body, "neighbours": neighbours})
        found = answered(answer, 200)
        quoted = found["context"].splitlines()[2:-1]
        assert [line.split("]")[0] for line in quoted] == [f"[{one['n']}" for one in found["citations"]]
        return [one["message_id"] for one in found["citations"]]

    assert await cited(1000, 0) == ["t3"]
    assert await cited(1000, 2) == ["t1", "t2", "t3", "t4", "t5"]
    assert await cited(70, 2) == ["t3"]
