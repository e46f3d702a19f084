"""Recency and diversity in searches and contexts, on a running stack."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from exchanges import answered, fields_of, ids_of, problem, search
from running_stack import RunningStack

NOON = datetime(2021, 5, 1, 12, tzinfo=UTC)
DAY = 86_400.0
TOWNS = ("Lyon", "Oslo", "Porto", "Graz")


async def say(stack: RunningStack, user: str, *messages: tuple[str, str, datetime]) -> None:
    """Post messages: name, text and time; wait until they are searchable."""
    bodies = [
        {"user_id": user, "message_id": name, "text": text, "occurred_at": when.isoformat()}
        for name, text, when in messages
    ]
    posted = answered(await stack.ingest.post("/v1/messages/batch", json={"messages": bodies}), 200)
    positions = [result["position"] for result in posted["results"]]
    await search(stack.retriever, user, "x", mode="keyword", wait_for=positions)


async def moves(stack: RunningStack, user: str) -> None:
    """Let a user move once a year."""
    await say(
        stack,
        user,
        *((town, f"I live in {town} now.", NOON + timedelta(days=365 * n)) for n, town in enumerate(TOWNS)),
    )


QUESTION = "Where do I live now?"


async def test_with_recency_the_later_of_equally_relevant_ones_comes_first(stack: RunningStack, user: str) -> None:
    await moves(stack, user)

    found = await search(stack.retriever, user, QUESTION, recency={"half_life": 30 * DAY, "weight": 1})

    assert ids_of(found) == list(reversed(TOWNS))


async def test_asked_about_the_present_a_newer_statement_goes_before_the_one_it_updates(
    stack: RunningStack, user: str
) -> None:
    await say(
        stack,
        user,
        ("old", "My deadline for the peer review of the draft is April 20.", NOON),
        ("new", "The deadline for my peer review has moved to April 25, they say.", NOON + timedelta(days=9)),
        ("other", "I have painted the garden fence.", NOON + timedelta(days=10)),
    )

    now = await search(stack.retriever, user, "What is my deadline for the peer review of the draft?")
    first = await search(stack.retriever, user, "What is my deadline for the peer review of the draft?", limit=1)
    then = await search(stack.retriever, user, "What was my deadline for the peer review of the draft?")

    assert ids_of(now) == ["new", "old", "other"]
    assert ids_of(first) == ["new"]
    assert [hit["signals"].get("updates", 0.0) for hit in now["hits"]] == [1.0, 0.0, 0.0]
    assert now["hits"][0]["relevance"] < now["hits"][1]["relevance"]
    assert ids_of(then) == ["old", "new", "other"]


async def test_recency_counts_from_the_time_that_is_asked_as_of(stack: RunningStack, user: str) -> None:
    """What was said after that is as fresh as can be."""
    await moves(stack, user)
    as_of = (NOON + timedelta(days=370)).isoformat()

    found = await search(stack.retriever, user, QUESTION, recency={"half_life": DAY, "weight": 1}, as_of=as_of)

    fresh = {hit["message_id"]: hit["signals"]["recency"] for hit in found["hits"]}
    assert fresh == pytest.approx({"Lyon": 0.0, "Oslo": 2.0**-5, "Porto": 1.0, "Graz": 1.0})
    assert ids_of(found)[2:] == ["Oslo", "Lyon"]


async def test_recency_leaves_relevance_as_it_is(stack: RunningStack, user: str) -> None:
    await moves(stack, user)

    plain = await search(stack.retriever, user, QUESTION)
    recent = await search(stack.retriever, user, QUESTION, recency={"half_life": DAY}, as_of=NOON.isoformat())
    strict = await search(
        stack.retriever,
        user,
        QUESTION,
        recency={"half_life": DAY, "weight": 1},
        min_relevance=min(hit["relevance"] for hit in plain["hits"]),
    )

    def relevances(found: dict[str, Any]) -> dict[str, float]:
        return {hit["message_id"]: hit["relevance"] for hit in found["hits"]}

    assert relevances(recent) == relevances(plain) == relevances(strict)


async def test_recency_looks_beyond_the_limit(stack: RunningStack, user: str) -> None:
    """The most recent of all is given, not the most recent of the most relevant."""
    await moves(stack, user)

    found = await search(stack.retriever, user, QUESTION, recency={"half_life": DAY, "weight": 1}, limit=1)

    assert ids_of(found) == ["Graz"]


async def test_the_order_follows_from_what_the_signals_say(stack: RunningStack, user: str) -> None:
    await moves(stack, user)
    await say(stack, user, ("again", "I live in Oslo, now.", NOON + timedelta(days=500)))

    found = await search(
        stack.retriever,
        user,
        QUESTION,
        recency={"half_life": 300 * DAY, "weight": 0.7},
        diversity=0.8,
        as_of=(NOON + timedelta(days=1200)).isoformat(),
    )

    scores = [
        hit["relevance"] * (0.3 + 0.7 * hit["signals"]["recency"]) * (1 - 0.8 * hit["signals"]["redundancy"])
        for hit in found["hits"]
    ]
    assert len(scores) == 5
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("mode", ["hybrid", "dense", "keyword"])
async def test_with_diversity_a_repetition_makes_room_for_something_else(
    stack: RunningStack, user: str, mode: str
) -> None:
    repeated = [(f"r{n}", "The ferry to the island leaves at nine.", NOON) for n in range(5)]
    await say(stack, user, *repeated, ("other", "For the ferry one needs a ticket from the kiosk.", NOON))

    plain = await search(stack.retriever, user, "When does the ferry leave?", mode=mode, limit=3)
    diverse = await search(stack.retriever, user, "When does the ferry leave?", mode=mode, limit=3, diversity=1)

    assert "other" not in ids_of(plain)
    assert ids_of(diverse)[1] == "other"
    assert "redundancy" not in plain["hits"][0]["signals"]
    assert [hit["signals"]["redundancy"] > 0.95 for hit in diverse["hits"]] == [False, False, True]


async def test_a_context_is_made_of_the_preferred_ones(stack: RunningStack, user: str) -> None:
    await moves(stack, user)
    body = {"user_id": user, "query": QUESTION, "token_budget": 1000, "limit": 1, "min_relevance": 0}
    asked = {**body, "recency": {"half_life": DAY, "weight": 1}}

    found = answered(await stack.retriever.post("/v1/context", json=asked), 200)

    assert [one["message_id"] for one in found["citations"]] == ["Graz"]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"recency": {}}, "recency.half_life"),
        ({"recency": {"half_life": 0}}, "recency.half_life"),
        ({"recency": {"half_life": -1}}, "recency.half_life"),
        ({"recency": {"half_life": 1e11}}, "recency.half_life"),
        ({"recency": {"half_life": "P1D"}}, "recency.half_life"),
        ({"recency": {"half_life": 60, "weight": 1.1}}, "recency.weight"),
        ({"recency": {"half_life": 60, "weigth": 1}}, "recency.weigth"),
        ({"recency": 60}, "recency"),
        ({"diversity": -0.1}, "diversity"),
        ({"diversity": 1.1}, "diversity"),
        ({"diversity": "much"}, "diversity"),
        ({"as_of": "2025-05-01T12:00:00"}, "as_of"),
        ({"as_of": 1714564800}, "as_of"),
    ],
    ids=repr,
)
async def test_a_bad_preference_is_refused_by_name(stack: RunningStack, fields: dict[str, Any], field: str) -> None:
    body = {"user_id": "ana", "query": "hello", **fields}

    assert fields_of(problem(await stack.retriever.post("/v1/search", json=body), 422, "invalid")) == [field]
