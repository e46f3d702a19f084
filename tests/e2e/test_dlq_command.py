"""`memstream dlq` and `memstream delete` as their users meet them."""

import asyncio
import json
import uuid

import pytest
from e2e.test_command import memstream
from exchanges import answered, post, search
from running_stack import RunningStack
from waiting import until

from memstream.contracts import keys


@pytest.fixture
def tenant() -> str:
    """Name a tenant that no other test has; it tells this test's letters from others'."""
    return f"t-{uuid.uuid4().hex[:12]}"


async def put_poison(stack: RunningStack, tenant: str, count: int) -> list[str]:
    """Put messages on the stream that can't be stored; give their ids once they are dead."""
    redis, dead = stack.redis, keys.dead_letters(0)
    before = await redis.xlen(dead)
    names = [f"m-{number}" for number in range(count)]
    for name in names:
        event = {"type": "message.recorded.v1", "tenant": tenant, "user_id": "ana", "message_id": name, "text": "\n"}
        times = {"occurred_at": "2026-01-01T00:00:00Z", "recorded_at": "2026-01-01T00:00:00Z"}
        data = json.dumps({**event, **times})
        await redis.xadd(keys.stream(0, "live"), {"type": "message.recorded.v1", "data": data})

    async def are_dead() -> bool:
        return int(await redis.xlen(dead)) == before + count

    await until(are_dead, f"{count} more dead letters")
    return names


async def test_letters_are_listed_shown_replayed_and_dropped(stack: RunningStack, tenant: str) -> None:
    names = await put_poison(stack, tenant, 3)
    mine = ("--tenant", tenant, "--home", stack.home)

    table, listed, every = await asyncio.gather(
        memstream("dlq", "list", *mine),
        memstream("dlq", "list", "--limit", "2", "--json", *mine),
        memstream("dlq", "list", "--class", "poison", "--reason", "blank", "--json", *mine),
    )
    letter_ids = [letter["id"] for letter in every.document["letters"]]
    shown, would = await asyncio.gather(
        memstream("dlq", "show", letter_ids[0], "--home", stack.home), memstream("dlq", "replay", "--dry-run", *mine)
    )

    assert (table.code, table.out.split()[:3]) == (0, ["id", "died", "class"])
    assert letter_ids[0] in table.out
    assert [letter["message_id"] for letter in listed.document["letters"]] == names[:2]
    assert listed.document["more"] is True
    assert (len(letter_ids), every.document["more"]) == (3, False)
    assert "the text is blank" in shown.out
    assert '"text": "\\n"' in shown.out
    assert would.out.splitlines()[-1] == "would replay 3 dead letters"
    replayed = await memstream("dlq", "replay", letter_ids[0], "--home", stack.home)
    again = await memstream("dlq", "replay", letter_ids[0], "--home", stack.home)
    assert (replayed.code, replayed.out) == (0, "1 replayed\n")
    assert (again.code, again.out, again.err) == (1, "1 missing\n", f"{letter_ids[0]}: missing\n")

    kept, unsure = await asyncio.gather(
        *(memstream("dlq", "drop", letter_ids[1], "--home", stack.home, stdin=answer) for answer in (b"n\n", b""))
    )
    assert (kept.code, unsure.code) == (1, 1)
    assert "Drop 1 dead letter permanently?" in kept.err
    assert "nothing was done" in unsure.err
    dropped = await memstream("dlq", "drop", letter_ids[1], "--home", stack.home, stdin=b"y\n")
    assert (dropped.code, dropped.out) == (0, "1 dropped\n")
    rest = await memstream("dlq", "drop", "--yes", "--json", *mine)
    assert {result["outcome"] for result in rest.document["results"]} == {"dropped"}
    # The one that was replayed may be about to die again.
    assert letter_ids[2] in {result["id"] for result in rest.document["results"]}


async def test_the_admin_key_comes_from_the_environment_and_a_tenants_is_refused(stack: RunningStack) -> None:
    url = {"MEMSTREAM_INGEST_URL": stack.info.ingest_url}

    well, refused = await asyncio.gather(
        *(
            memstream("dlq", "list", "--tenant", "nobody", environment={**url, "MEMSTREAM_ADMIN_KEY": key})
            for key in (stack.info.admin_key, stack.info.api_key)
        )
    )

    assert (well.code, well.out) == (0, "No dead letters.\n")
    assert (refused.code, refused.out) == (1, "")
    assert refused.err == "memstream: the scope `admin` is missing: this needs a key for operators\n"


async def test_it_has_to_be_said_which_letters(stack: RunningStack) -> None:
    ways: list[tuple[str, ...]] = [(), ("0.1-1", "--all"), ("0.1-1", "--class", "poison")]

    for ran in await asyncio.gather(
        *(memstream("dlq", "drop", "--yes", *which, "--home", stack.home) for which in ways)
    ):
        assert (ran.code, ran.out) == (2, "")
        assert ran.err.startswith("memstream: select the letters: by ids, by filters")


async def test_a_message_is_deleted_and_then_its_user_erased(stack: RunningStack) -> None:
    user = f"user-{uuid.uuid4().hex[:12]}"
    sent = [await post(stack.ingest, user, f"The lamp is broken, {name}.", message_id=name) for name in ("a", "b")]
    found = await search(stack.retriever, user, "lamp", wait_for=[one["position"] for one in sent])
    assert len(found["hits"]) == 2

    unsure, one = await asyncio.gather(
        memstream("delete", user, "--home", stack.home),
        memstream("delete", user, "a", "--wait", "--yes", "--home", stack.home),
    )
    left = await search(stack.retriever, user, "lamp")
    rest = await memstream("forget", user, "--wait", "--json", "--home", stack.home, stdin=b"y\n")

    assert (unsure.code, unsure.out) == (1, "")
    assert f"Delete everything that {user} said until now permanently?" in unsure.err
    assert (one.code, one.out) == (0, f"deleted: message a of {user}\n")
    assert [hit["message_id"] for hit in left["hits"]] == ["b"]
    assert (rest.document["state"], rest.document["scope"]) == ("done", "user")
    assert (await search(stack.retriever, user, "lamp"))["hits"] == []
    params = {"user_id": user, "message_id": "a"}
    assert answered(await stack.ingest.get("/v1/messages/state", params=params), 200)["state"] == "deleted"
