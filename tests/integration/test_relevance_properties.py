"""What holds of relevance whatever a user has said besides, and however is asked, on a running stack."""

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
import pytest_asyncio
from exchanges import answered, ids_of, post_lines, search
from running_stack import RunningStack

from benchmarks.quality.everyday.unrelated import sentences

SIZES = (1, 5, 20, 99, 101, 150)
GROWN = (1, 5, 20, 99, 100, 101, 150)
"""To each of these one more message is added."""
AGAIN = (5, 101)
"""These are posted twice, in other orders."""
NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
TURNS = 10
"""Of an unrelated conversation."""
AT_ONCE = 1000
"""Messages of a batch, and positions that are waited for."""
LOOKED_AT = 0.01
"""The relevance of hits whose order anybody might notice."""

CAKE = "I baked a plum cake for the fair."
NOTHING_AROUND: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Scene:
    """What is said, among other messages, and what is asked."""

    name: str
    said: Sequence[Mapping[str, Any]]
    """Messages; the first one alone makes up the shortest history."""
    questions: Sequence[str]
    people: Sequence[str] = ()
    """Who says the other messages, in conversations; nobody: they are notes."""


NOTES = Scene(
    "notes",
    [
        {"text": "The ferry booking code is QX7-PLM."},
        {"text": "The hotel booking code is HB-2291."},
        {"text": "The spare key is under the third flower pot."},
    ],
    ["ferry booking code", "Where is the spare key?", "What is the ferry booking code?"],
)
TALK = Scene(
    "talk",
    [
        {"text": CAKE, "speaker": "Ann", "conversation_id": "fair"},
        {"text": "That sounds lovely.", "speaker": "Cy", "conversation_id": "fair"},
        {"text": "My sister teaches chemistry.", "speaker": "Bo", "conversation_id": "family"},
    ],
    ["What did Ann bake for the fair?", "Who baked a plum cake?", "What does Bo's sister teach?"],
    ["Ann", "Bo", "Cy"],
)
SCENES = (NOTES, TALK)

BO, ANN = {"text": CAKE, "speaker": "Bo"}, {"text": CAKE, "speaker": "Ann"}
FAIR = {"conversation_id": "fair"}
AROUND: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "he said it just before": [BO | FAIR, {"text": "Lovely.", "speaker": "Cy", **FAIR}, ANN | FAIR],
    "he said it just after": [ANN | FAIR, {"text": "Lovely.", "speaker": "Cy", **FAIR}, BO | FAIR],
    "he was asked, and praised": [
        {"text": "Bo, what did you bake for the fair?", "speaker": "Cy", **FAIR},
        BO | FAIR,
        {"text": "Your plum cake was the best of the fair!", "speaker": "Cy", **FAIR},
        ANN | {"conversation_id": "elsewhere"},
    ],
    "she said it in no conversation": [
        {"text": "What a fair, and what a cake!", "speaker": "Cy", **FAIR},
        BO | FAIR,
        ANN,
    ],
}
"""What surrounds the same words of two people; the question is about Ann's."""


def history(scene: Scene, size: int, said: int) -> Iterator[dict[str, Any]]:
    """Yield so many messages, the first of which are said in the scene; a longer history only has others besides."""
    unrelated = sentences(Random(7), size - said)  # noqa: S311 - a draw, not a secret
    for place, one in enumerate(scene.said[:said]):
        yield {"message_id": f"said-{place}", "occurred_at": (NOON + place * MINUTE).isoformat(), **one}
    for place, text in enumerate(unrelated):
        talk, turn = divmod(place, TURNS)
        around = (
            {"speaker": scene.people[place % len(scene.people)], "conversation_id": f"talk-{talk}"}
            if scene.people
            else NOTHING_AROUND
        )
        at = NOON - timedelta(days=3 + talk) + turn * MINUTE
        yield {"message_id": f"other-{place}", "text": text, "occurred_at": at.isoformat(), **around}


def said_in(scene: Scene, size: int) -> int:
    """Return how many messages of the scene are in a history: one in the shortest, which grow by one other message."""
    return 1 if size <= 1 else len(scene.said)


def user_of(scene: Scene, size: int, *, grown: bool = False) -> str:
    """Name the user with such a history, or with one other message more."""
    return f"{scene.name} {size}{' and one more' if grown else ''}"


def all_messages() -> Iterator[dict[str, Any]]:
    """Yield the messages of all users."""
    for scene, size, grown in itertools.product(SCENES, {*SIZES, *GROWN}, (False, True)):
        for message in history(scene, size + grown, said_in(scene, size)):
            yield {"user_id": user_of(scene, size, grown=grown), **message}
    for scene, size in itertools.product(SCENES, AGAIN):
        for message in history(scene, size, said_in(scene, size)):
            yield {"user_id": f"{user_of(scene, size)} again", **message}
    for (name, said), size in itertools.product(AROUND.items(), SIZES[1:]):
        scene = Scene(name, said, [], ["Ann", "Bo", "Cy"])
        for message in history(scene, size, len(said)):
            yield {"user_id": f"{name} {size}", **message}


@pytest_asyncio.fixture(scope="session")
async def asked(stack: RunningStack) -> RunningStack:
    """Give the stack when all histories are searchable; each is posted in an order of its own."""
    messages = list(all_messages())
    Random(1).shuffle(messages)  # noqa: S311 - an order, not a secret
    for start in range(0, len(messages), AT_ONCE):
        part = messages[start : start + AT_ONCE]
        lines = b"\n".join(json.dumps(message).encode() for message in part)
        sent = answered(await post_lines(stack.ingest, lines, lane="bulk"), 200)
        positions = [result["position"] for result in sent["results"]]
        await search(stack.retriever, "nobody", "x", mode="keyword", wait_for=positions)
    return stack


def relevances(answer: Mapping[str, Any]) -> dict[str, float]:
    """Return the relevance of each hit, by its message."""
    return {hit["message_id"]: hit["relevance"] for hit in answer["hits"]}


def assert_alike(one: Mapping[str, Any], other: Mapping[str, Any], within: float) -> None:
    """Compare the relevances of the messages that are in both answers."""
    first, second = relevances(one), relevances(other)
    both = first.keys() & second.keys()
    assert both
    changed = {name: (first[name], second[name]) for name in both if abs(first[name] - second[name]) >= within}
    assert changed == {}


scenes = pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
sizes = pytest.mark.parametrize("size", SIZES)


@pytest.mark.parametrize("size", SIZES[1:])
@pytest.mark.parametrize("around", AROUND)
async def test_of_equal_texts_the_named_speakers_is_first(asked: RunningStack, around: str, size: int) -> None:
    answer = await search(asked.retriever, f"{around} {size}", "What did Ann bake for the fair?")

    assert [hit["speaker"] for hit in answer["hits"] if hit["text"] == CAKE] == ["Ann", "Bo"]


@scenes
@pytest.mark.parametrize("size", AGAIN)
async def test_the_order_in_which_messages_are_posted_changes_nothing(
    asked: RunningStack, scene: Scene, size: int
) -> None:
    for question in scene.questions:
        one = await search(asked.retriever, user_of(scene, size), question)
        other = await search(asked.retriever, f"{user_of(scene, size)} again", question)

        assert ids_of(one) == ids_of(other)
        assert_alike(one, other, 0.01)


@scenes
@pytest.mark.parametrize("size", GROWN)
async def test_an_unrelated_message_more_leaves_the_order_of_the_others(
    asked: RunningStack, scene: Scene, size: int
) -> None:
    for question in scene.questions:
        before = await search(asked.retriever, user_of(scene, size), question, limit=20)
        after = await search(asked.retriever, user_of(scene, size, grown=True), question, limit=20)

        order = [hit["message_id"] for hit in before["hits"] if hit["relevance"] >= LOOKED_AT]
        assert [name for name in ids_of(after) if name in order] == order, question


@scenes
@pytest.mark.parametrize("size", GROWN)
async def test_an_unrelated_message_more_hardly_changes_a_relevance(
    asked: RunningStack, scene: Scene, size: int
) -> None:
    for question in scene.questions:
        before = await search(asked.retriever, user_of(scene, size), question, limit=20)
        after = await search(asked.retriever, user_of(scene, size, grown=True), question, limit=20)

        assert_alike(before, after, 0.05)


@scenes
@sizes
@pytest.mark.parametrize(
    "everything",
    [{"after": "2000-01-01T00:00:00Z"}, {"kind": "message"}, {"role": "user", "before": "2030-01-01T00:00:00Z"}],
)
async def test_a_filter_that_matches_everything_does_not_change_a_relevance(
    asked: RunningStack, scene: Scene, size: int, everything: Mapping[str, str]
) -> None:
    for question in scene.questions:
        plain = await search(asked.retriever, user_of(scene, size), question)
        filtered = await search(asked.retriever, user_of(scene, size), question, filter=everything)

        assert ids_of(filtered)[:1] == ids_of(plain)[:1]
        assert_alike(plain, filtered, 0.02)


@scenes
@sizes
@pytest.mark.parametrize("limit", [1, 50, 100])
async def test_a_limit_does_not_change_a_relevance(asked: RunningStack, scene: Scene, size: int, limit: int) -> None:
    for question in scene.questions:
        ten = await search(asked.retriever, user_of(scene, size), question)
        others = await search(asked.retriever, user_of(scene, size), question, limit=limit)

        assert ids_of(others)[:1] == ids_of(ten)[:1]
        assert_alike(ten, others, 0.02)


@scenes
@sizes
@pytest.mark.parametrize("mode", ["dense", "keyword"])
async def test_a_mode_hardly_changes_the_relevance_of_what_answers(
    asked: RunningStack, scene: Scene, size: int, mode: str
) -> None:
    question = scene.questions[0]
    hybrid = await search(asked.retriever, user_of(scene, size), question, limit=1)
    other = await search(asked.retriever, user_of(scene, size), question, mode=mode)

    assert ids_of(hybrid) == ids_of(other)[:1] == ["said-0"]
    assert_alike(hybrid, other, 0.1)


@scenes
@sizes
async def test_what_is_asked_in_a_batch_is_answered_as_alone(asked: RunningStack, scene: Scene, size: int) -> None:
    user = user_of(scene, size)
    bodies = [{"user_id": user, "query": question} for question in scene.questions]

    batch = answered(await asked.retriever.post("/v1/search/batch", json={"searches": bodies}), 200)

    for question, together in zip(scene.questions, batch["results"], strict=True):
        alone = await search(asked.retriever, user, question)
        assert ids_of(together) == ids_of(alone)
        assert_alike(alone, together, 0.02)


@sizes
@pytest.mark.parametrize(
    "fields", [{}, {"mode": "dense"}, {"mode": "keyword"}, {"filter": {"kind": "message"}}], ids=str
)
async def test_a_context_abstains_alike_however_is_asked(
    asked: RunningStack, size: int, fields: Mapping[str, Any]
) -> None:
    body = {"user_id": user_of(NOTES, size), "token_budget": 500, **fields}

    answers = [
        answered(await asked.retriever.post("/v1/context", json={**body, "query": question}), 200)
        for question in ("What is the ferry booking code?", "Who won the chess championship?")
    ]

    assert [answer["abstained"] for answer in answers] == [False, True]
