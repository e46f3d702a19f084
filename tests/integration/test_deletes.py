"""What is deleted is gone, and nothing brings it back."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
import pytest_asyncio
from installation import Installation, installed
from running_stack import RunningStack
from waiting import until

from memstream.contracts import ids

TENANT = "local"


async def post(ingest: httpx.AsyncClient, user: str, message_id: str, text: str = "the lamp is broken") -> str:
    """Post a message; give its position."""
    answer = await ingest.post("/v1/messages", json={"user_id": user, "message_id": message_id, "text": text})
    assert answer.status_code == 202, answer.text
    position: str = answer.json()["position"]
    return position


async def found(retriever: httpx.AsyncClient, user: str, *wait_for: str) -> list[str]:
    """Give the ids of all of a user's messages that a search finds."""
    body = {"user_id": user, "query": "lamp", "limit": 100, "wait_for": list(wait_for), "wait_timeout": 60}
    answer = await retriever.post("/v1/search", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["pending"] == []
    return sorted(hit["message_id"] for hit in answer.json()["hits"])


async def state(ingest: httpx.AsyncClient, user: str, message_id: str) -> str:
    """Ask where a message is."""
    answer = await ingest.get("/v1/messages/state", params={"user_id": user, "message_id": message_id})
    return str(answer.json()["state"])


async def delete(ingest: httpx.AsyncClient, path: str, **params: str) -> str:
    """Ask to forget; give the id of the request."""
    answer = await ingest.delete(path, params=params)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["erasure_id"])


async def receipt(ingest: httpx.AsyncClient, erasure_id: str) -> dict[str, Any]:
    """Wait until a request was carried out; give its receipt."""
    last: dict[str, Any] = {}

    async def settled() -> bool:
        last.update((await ingest.get(f"/v1/erasures/{erasure_id}")).json())
        return bool(last["state"] != "pending")

    await until(settled, f"erasure {erasure_id} is settled")
    return last


async def test_a_deleted_message_is_found_no_more_and_the_others_are(stack: RunningStack, user: str) -> None:
    positions = [await post(stack.ingest, user, name) for name in ("a", "b")]
    assert await found(stack.retriever, user, *positions) == ["a", "b"]

    told = await receipt(stack.ingest, await delete(stack.ingest, "/v1/messages", user_id=user, message_id="a"))

    assert (told["state"], told["scope"]) == ("done", "message")
    assert told["done_at"] >= told["requested_at"]
    assert await found(stack.retriever, user) == ["b"]
    assert await state(stack.ingest, user, "a") == "deleted"
    assert await state(stack.ingest, user, "b") == "stored"


async def test_posting_a_deleted_message_again_does_not_bring_it_back(stack: RunningStack, user: str) -> None:
    first = await post(stack.ingest, user, "a")
    await receipt(stack.ingest, await delete(stack.ingest, "/v1/messages", user_id=user, message_id="a"))

    again = await stack.ingest.post("/v1/messages", json={"user_id": user, "message_id": "a", "text": "the lamp"})
    later = await post(stack.ingest, user, "b")

    assert again.json() == {"message_id": "a", "position": first, "duplicate": True, "deleted": True}
    assert await found(stack.retriever, user, later) == ["b"]


async def test_deleting_twice_answers_with_the_first_request(stack: RunningStack, user: str) -> None:
    await post(stack.ingest, user, "a")

    one = await delete(stack.ingest, "/v1/messages", user_id=user, message_id="a")
    other = await delete(stack.ingest, "/v1/messages", user_id=user, message_id="a")

    assert one == other


async def test_a_message_may_be_deleted_before_it_comes(stack: RunningStack, user: str) -> None:
    await delete(stack.ingest, "/v1/messages", user_id=user, message_id="late")

    later = await post(stack.ingest, user, "b")
    answer = await stack.ingest.post("/v1/messages", json={"user_id": user, "message_id": "late", "text": "lamp"})

    assert answer.json()["duplicate"]
    assert await found(stack.retriever, user, later) == ["b"]


async def test_a_message_that_never_was_leaves_nothing_to_purge(stack: RunningStack, user: str) -> None:
    told = await receipt(stack.ingest, await delete(stack.ingest, "/v1/messages", user_id=user, message_id="none"))

    assert (told["state"], told["messages"], told["waiting"]) == ("done", 0, [])
    assert told["purged_at"] == told["done_at"]


async def test_a_delete_after_its_user_was_erased_holds_though_there_was_one_before(
    stack: RunningStack, user: str
) -> None:
    await post(stack.ingest, user, "a")
    first = await delete(stack.ingest, "/v1/messages", user_id=user, message_id="a")
    await delete(stack.ingest, "/v1/users", user_id=user)
    second = await delete(stack.ingest, "/v1/messages", user_id=user, message_id="a")

    answer = await stack.ingest.post("/v1/messages", json={"user_id": user, "message_id": "a", "text": "lamp"})
    later = await post(stack.ingest, user, "b")

    assert second != first
    assert answer.json()["deleted"]
    assert await found(stack.retriever, user, later) == ["b"]


async def test_a_long_message_is_deleted_with_all_its_chunks(stack: RunningStack, user: str) -> None:
    position = await post(stack.ingest, user, "a", "The lamp in the hall is broken again, says the caretaker. " * 200)
    assert await found(stack.retriever, user, position) == ["a"]

    await receipt(stack.ingest, await delete(stack.ingest, "/v1/messages", user_id=user, message_id="a"))

    assert await found(stack.retriever, user) == []


async def test_an_erased_user_is_forgotten_and_starts_anew(stack: RunningStack, user: str) -> None:
    positions = [await post(stack.ingest, user, name) for name in ("a", "b")]
    assert await found(stack.retriever, user, *positions) == ["a", "b"]

    told = await receipt(stack.ingest, await delete(stack.ingest, "/v1/users", user_id=user))
    assert (told["state"], told["scope"]) == ("done", "user")
    assert await found(stack.retriever, user) == []
    assert await state(stack.ingest, user, "a") == "deleted"

    again = await post(stack.ingest, user, "a", "a new lamp")
    assert await found(stack.retriever, user, again) == ["a"]
    assert await state(stack.ingest, user, "a") == "stored"


async def test_erasing_a_user_leaves_the_others_alone(stack: RunningStack, user: str) -> None:
    other = f"{user}/"
    positions = [await post(stack.ingest, name, "a") for name in (user, other)]

    await receipt(stack.ingest, await delete(stack.ingest, "/v1/users", user_id=user))

    assert await found(stack.retriever, other, *positions) == ["a"]


async def test_a_receipt_that_is_not_there_is_not_found(stack: RunningStack) -> None:
    for erasure_id in ("0-nothing", "99-nothing", "nothing", "٣-x"):
        assert (await stack.ingest.get(f"/v1/erasures/{erasure_id}")).status_code == 404


async def test_deletes_that_run_into_posts_win(stack: RunningStack, user: str) -> None:
    chance = Random(7)  # noqa: S311 - repeatable
    names = [f"m-{number}" for number in range(60)]
    doomed = set(chance.sample(names, 30))

    async def live(name: str) -> tuple[str, str | None]:
        position = await post(stack.ingest, user, name)
        for _ in range(chance.randrange(4)):
            await stack.ingest.get("/health/live")
        if name not in doomed:
            return position, None
        return position, await delete(stack.ingest, "/v1/messages", user_id=user, message_id=name)

    lives = await asyncio.gather(*(live(name) for name in names))
    for _, erasure_id in lives:
        if erasure_id is not None:
            assert (await receipt(stack.ingest, erasure_id))["state"] == "done"

    body = {"query": "lamp", "limit": 100, "wait_for": [position for position, _ in lives], "wait_timeout": 60}
    answer = (await stack.retriever.post("/v1/search", json={"user_id": user, **body})).json()

    assert sorted(hit["message_id"] for hit in answer["hits"]) == sorted(set(names) - doomed)
    # The entry of a deleted message leaves the stream at any moment; then nothing is known of it.
    assert set(answer["not_stored"].values()) <= {"deleted", "unknown"}
    assert set(answer["not_stored"]) <= {position for position, erasure_id in lives if erasure_id is not None}
    assert set(answer["pending"]) == {one for one, fate in answer["not_stored"].items() if fate == "unknown"}


@pytest_asyncio.fixture(loop_scope="session")
async def parts(tmp_path: Path) -> AsyncIterator[Installation]:
    """Run everything but the embedder."""
    async with installed(Installation(tmp_path)) as installation:
        await installation.start("redis")
        await installation.start("keys", "qdrant", "embeddings")
        await installation.start("ingest-1")
        # Without an embedder there is no collection yet, so it is not ready.
        await installation.start("retriever-1", ready=False)
        yield installation


async def test_what_was_deleted_while_it_waited_is_never_stored(parts: Installation) -> None:
    async with parts.client("ingest-1") as ingest, parts.client("retriever-1") as retriever:
        kept = await post(ingest, "ana", "kept")
        await post(ingest, "ana", "deleted")
        await post(ingest, "bob", "erased")
        one = await delete(ingest, "/v1/messages", user_id="ana", message_id="deleted")
        other = await delete(ingest, "/v1/users", user_id="bob")
        await parts.start("embedder-1")
        await parts.ready("retriever-1")

        assert (await receipt(ingest, one))["state"] == (await receipt(ingest, other))["state"] == "done"
        assert await found(retriever, "ana", kept) == ["kept"]
        assert await found(retriever, "bob") == []


async def test_a_redelivered_entry_of_a_deleted_message_is_not_stored_again(parts: Installation) -> None:
    await parts.start("embedder-1")
    await parts.ready("retriever-1")
    async with parts.client("ingest-1") as ingest, parts.client("retriever-1") as retriever:
        position = await post(ingest, "ana", "a")
        assert await found(retriever, "ana", position) == ["a"]
        await receipt(ingest, await delete(ingest, "/v1/messages", user_id="ana", message_id="a"))
        partition = ids.partition(TENANT, "ana", 1)
        stream = f"memstream:{{{partition}}}:live"
        # As if the acknowledgement had been lost: the group is set back to its beginning.
        await parts.redis.xgroup_setid(stream, "embedder", "0")
        later = await post(ingest, "ana", "b")

        assert await found(retriever, "ana", later) == ["b"]


async def test_what_is_said_again_after_an_erasure_outlives_what_was_said_before(parts: Installation) -> None:
    async with parts.client("ingest-1") as ingest, parts.client("retriever-1") as retriever:
        old = {"user_id": "ana", "message_id": "a", "text": "the old lamp"}
        await ingest.post("/v1/messages/batch", json={"messages": [old], "lane": "bulk"})
        erasure = await delete(ingest, "/v1/users", user_id="ana")
        new = await post(ingest, "ana", "a", "the new lamp")
        await parts.start("embedder-1")
        await parts.ready("retriever-1")
        await receipt(ingest, erasure)
        await until(lambda: _nothing_waits(parts), "both lanes are done")

        assert await found(retriever, "ana", new) == ["a"]
        assert await state(ingest, "ana", "a") == "stored"


async def _nothing_waits(parts: Installation) -> bool:
    for lane in ("live", "bulk"):
        (group,) = await parts.redis.xinfo_groups(f"memstream:{{0}}:{lane}")
        if group["pending"] or group["lag"]:
            return False
    return True


async def test_a_message_that_was_deleted_never_becomes_a_dead_letter(parts: Installation) -> None:
    async with parts.client("ingest-1") as ingest:
        position = await post(ingest, "ana", "a")
        erasure = await delete(ingest, "/v1/messages", user_id="ana", message_id="a")
        stream, entry = "memstream:{0}:live", position.removeprefix("0.live.")
        await parts.redis.xreadgroup("embedder", "gone", {stream: ">"}, count=1)
        await parts.redis.xclaim(stream, "embedder", "gone", 0, [entry], retrycount=99, idle=10**7)
        await parts.start("embedder-1")
        assert (await receipt(ingest, erasure))["state"] == "done"
        await until(lambda: _nothing_waits(parts), "the entry is done")

        assert await state(ingest, "ana", "a") == "deleted"
        assert await parts.redis.xlen("memstream:{0}:dead") == 0


@pytest.mark.parametrize("query", ["user_id=ana&message_id=a", "user_id=ana&user_id=bob", "user_id=ana&all=yes"])
async def test_a_parameter_that_is_not_meant_erases_nobody(stack: RunningStack, query: str) -> None:
    answer = await stack.ingest.delete(f"/v1/users?{query}")

    assert answer.status_code == 422


async def test_posting_a_deleted_message_says_that_it_was_deleted(stack: RunningStack, user: str) -> None:
    await delete(stack.ingest, "/v1/messages", user_id=user, message_id="a")

    answer = await stack.ingest.post("/v1/messages", json={"user_id": user, "message_id": "a", "text": "lamp"})

    assert answer.json()["deleted"]
