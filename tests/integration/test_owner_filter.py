"""No condition widens a question beyond its owner, by what a running stack answers.

That nobody can ask without an owner is shown by types: `tests/unit/test_owners.py`.
"""

from datetime import UTC, datetime

import numpy as np
import pytest
from exchanges import post, search
from running_stack import RunningStack

from memstream.vectors.store import (
    CandidateQuery,
    Conditions,
    FirstChunks,
    MemoryStore,
    MetadataIsOneOf,
    OneOf,
    Owner,
    Within,
    owner_of,
)

SOME_VECTOR = np.full(384, 0.05, np.float32)


async def of_two(stack: RunningStack, user: str) -> tuple[Owner, Owner]:
    """Let two users say the same, and return both."""
    for one in (user, f"{user}-b"):
        sent = await post(stack.ingest, one, "The password is under the keyboard.", message_id="m")
        await search(stack.retriever, one, "x", wait_for=[sent["position"]])
    return owner_of("local", user), owner_of("local", f"{user}-b")


WIDE: list[Conditions] = [
    (),
    (OneOf("role", ("user", "assistant", "system")),),
    (Within("occurred_at", datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)),),
]


@pytest.mark.parametrize("conditions", WIDE, ids=range(len(WIDE)))
async def test_no_condition_widens_a_question_beyond_its_owner(
    stack: RunningStack, store: MemoryStore, user: str, conditions: Conditions
) -> None:
    owners = await of_two(stack, user)

    asked = [
        CandidateQuery(owner, vector, text, 100, conditions)
        for owner in owners
        for vector, text in ((SOME_VECTOR, None), (None, "password"), (SOME_VECTOR, "password"))
    ]
    answers = await store.propose(asked)

    for question, answer in zip(asked, answers, strict=True):
        found = {*(answer.dense or ()), *(answer.keyword or ()), *answer.messages}
        assert found == {str(question.owner.point_id("m", 0))}


@pytest.mark.parametrize("conditions", WIDE, ids=range(len(WIDE)))
async def test_no_condition_widens_a_list_beyond_its_owner(
    stack: RunningStack, store: MemoryStore, user: str, conditions: Conditions
) -> None:
    for owner in await of_two(stack, user):
        listed = await store.list_from(owner, conditions, None, 100)
        assert [one.id for one in listed] == [str(owner.point_id("m", 0))]


@pytest.mark.parametrize(
    "conditions", [(OneOf("role", ()),), (MetadataIsOneOf("owner", ()),), (MetadataIsOneOf("owner", ("local/x",)),)]
)
async def test_a_condition_that_nothing_meets_finds_nothing(
    stack: RunningStack, store: MemoryStore, user: str, conditions: Conditions
) -> None:
    mine, _ = await of_two(stack, user)

    (answer,) = await store.propose([CandidateQuery(mine, SOME_VECTOR, "password", 100, conditions)])

    assert (answer.dense, answer.keyword) == ({}, {})


async def test_a_message_is_not_given_to_another_owner_who_knows_its_id(
    stack: RunningStack, store: MemoryStore, user: str
) -> None:
    mine, theirs = await of_two(stack, user)
    known = await post(stack.ingest, user, "Only mine.", message_id="known")
    await search(stack.retriever, user, "x", wait_for=[known["position"]])

    (given, refused), _ = await store.fetch([FirstChunks(mine, ("known",)), FirstChunks(theirs, ("known",))], [])

    assert (set(given), refused) == ({"known"}, {})
