"""Where a message is, and whose it is: with an embedder that starts only after messages were posted."""

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
import pytest_asyncio
from exchanges import answered, entries_of, ids_of, line, post, post_lines, problem, search
from installation import Installation, installed
from waiting import until

from memstream.contracts import ids, keys
from memstream.contracts.keys import Position, Seen
from memstream.streams.connections import decoded
from memstream.web.credentials import digest_of


@dataclass(frozen=True, slots=True)
class Told:
    """What a message's state was, before any embedder had started and after one had."""

    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Tenants:
    """An installation with a second tenant, and what became of a message that was posted early."""

    parts: Installation
    other_key: str
    early: Told


async def issue_key(parts: Installation, *arguments: str) -> tuple[int, str, str]:
    """Run `python -m memstream.ingest issue-key`."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "memstream.ingest", "issue-key", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"MEMSTREAM_INGEST_REDIS_URL": parts.plan.redis_url},
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def state_of(parts: Installation, user: str, message_id: str, key: str | None = None) -> str:
    """Ask where a message is."""
    async with parts.client("ingest-1", key=key) as ingest:
        response = await ingest.get("/v1/messages/state", params={"user_id": user, "message_id": message_id})
        return str(answered(response, 200)["state"])


async def is_stored(parts: Installation, user: str, message_id: str) -> bool:
    """Ask whether a message is searchable."""
    return await state_of(parts, user, message_id) == "stored"


@pytest_asyncio.fixture(scope="module")
async def tenants(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Tenants]:
    """Post a message, and start the embedder only then."""
    async with installed(Installation(tmp_path_factory.mktemp("tenants"))) as parts:
        await parts.start("redis")
        await parts.start("keys", "ingest-1", "qdrant", "embeddings")
        async with parts.client("ingest-1") as ingest:
            await post(ingest, "early", "The first words.", message_id="m")
            before = await state_of(parts, "early", "m")
            await parts.start("embedder-1", "retriever-1")

            await until(lambda: is_stored(parts, "early", "m"), "the early message is stored")
        code, key, said = await issue_key(parts, "acme")
        assert code == 0, said
        yield Tenants(parts, key.strip(), Told(before, await state_of(parts, "early", "m")))


async def test_a_message_is_queued_until_an_embedder_stored_it(tenants: Tenants) -> None:
    assert tenants.early == Told(before="queued", after="stored")


async def test_what_was_posted_before_any_embedder_started_is_found(tenants: Tenants) -> None:
    async with tenants.parts.client("retriever-1") as retriever:
        found = await search(retriever, "early", "first words")

    assert [hit["text"] for hit in found["hits"]] == ["The first words."]


async def test_a_message_that_was_never_posted_has_no_state(tenants: Tenants) -> None:
    async with tenants.parts.client("ingest-1") as ingest:
        response = await ingest.get("/v1/messages/state", params={"user_id": "early", "message_id": "other"})

    problem(response, 404, "not-found")


async def test_a_key_is_printed_once_and_redis_holds_its_digest_alone(tenants: Tenants) -> None:
    names = [name async for name in tenants.parts.redis.scan_iter("*")]
    values = [await tenants.parts.redis.dump(name) for name in names]

    assert tenants.other_key.startswith("ms_")
    assert f"memstream:credential:{digest_of(tenants.other_key)}".encode() in names
    assert not any(
        tenants.other_key.encode() in (value or b"") + name for name, value in zip(names, values, strict=True)
    )


async def test_a_message_of_another_tenant_is_unknown(tenants: Tenants, user: str) -> None:
    async with tenants.parts.client("ingest-1") as ingest:
        await post(ingest, user, "mine", message_id="m")

    async with tenants.parts.client("ingest-1", key=tenants.other_key) as other:
        response = await other.get("/v1/messages/state", params={"user_id": user, "message_id": "m"})

    problem(response, 404, "not-found")


async def test_tenants_with_the_same_users_and_ids_do_not_meet(tenants: Tenants, user: str) -> None:
    parts = tenants.parts
    holders = {"local": parts.info.api_key, "acme": tenants.other_key}
    positions = {}
    for tenant, key in holders.items():
        async with parts.client("ingest-1", key=key) as ingest:
            sent = await post(ingest, user, f"The password of {tenant} is in the drawer.", message_id="m")
            positions[tenant] = sent["position"]
            assert not sent["duplicate"]

    for tenant, key in holders.items():
        async with parts.client("retriever-1", key=key) as retriever:
            for mode in ("dense", "keyword", "hybrid"):
                found = await search(
                    retriever, user, "the password in the drawer", mode=mode, wait_for=list(positions.values())
                )
                assert [hit["text"] for hit in found["hits"]] == [f"The password of {tenant} is in the drawer."]
    assert {event["tenant"] for event in await entries_of(parts.redis, user)} == set(holders)


async def test_a_message_in_the_dead_letters_is_dead_and_says_why(tenants: Tenants, user: str) -> None:
    redis = tenants.parts.redis
    async with tenants.parts.client("ingest-1") as ingest:
        sent = await post(ingest, user, "hello", message_id="m")
        await until(lambda: is_stored(tenants.parts, user, "m"), "it is done with")
        # As the embedder writes it.
        letter = decoded(await redis.xadd(keys.dead_letters(0), {"reason": "it has no vector"}))
        name = keys.seen(0, ids.message_key("local", user, "m"))
        await redis.set(name, str(Seen(Position.parse(sent["position"]), letter)))
        response = await ingest.get("/v1/messages/state", params={"user_id": user, "message_id": "m"})

    told = answered(response, 200)
    assert (told["state"], told["reason"]) == ("dead", "it has no vector")


async def told_of(parts: Installation, position: str, key: str | None = None) -> tuple[list[str], dict[str, str]]:
    """Search with a position to wait for, and give what is told of it: `pending` and `not_stored`."""
    async with parts.client("retriever-1", key=key) as retriever:
        answer = await search(retriever, "x", "x", mode="keyword", wait_for=[position])
    return answer["pending"], answer["not_stored"]


async def test_a_search_says_which_positions_will_not_become_searchable(tenants: Tenants, user: str) -> None:
    parts = tenants.parts
    async with parts.client("ingest-1") as ingest:
        stored, dead, deleted = [await post(ingest, user, "hello", message_id=name) for name in ("s", "dead", "gone")]
        for name in ("s", "dead", "gone"):
            await until(partial(is_stored, parts, user, name), "it is done with")
        # As the embedder writes them.
        letter = decoded(await parts.redis.xadd(keys.dead_letters(0), {"reason": "it has no vector"}))
        seen = Seen(Position.parse(dead["position"]), letter)
        await parts.redis.set(keys.seen(0, ids.message_key("local", user, "dead")), str(seen))
        response = await ingest.delete("/v1/messages", params={"user_id": user, "message_id": "gone"})
        assert response.status_code == 202, response.text

    assert await told_of(parts, stored["position"]) == ([], {})
    assert await told_of(parts, dead["position"]) == ([], {dead["position"]: "dead"})
    assert await told_of(parts, deleted["position"]) in (
        ([], {deleted["position"]: "deleted"}),
        # Its entry has left the stream already.
        ([deleted["position"]], {deleted["position"]: "unknown"}),
    )


@pytest.mark.parametrize("state", ["stored", "dead"])
async def test_a_position_of_another_tenant_looks_like_one_that_nobody_has(
    tenants: Tenants, user: str, state: str
) -> None:
    parts = tenants.parts
    async with parts.client("ingest-1") as ingest:
        sent = await post(ingest, user, "hello", message_id="m")
        await until(lambda: is_stored(parts, user, "m"), "it is done with")
    theirs = Position.parse(sent["position"])
    if state == "dead":
        await parts.redis.set(keys.seen(0, ids.message_key("local", user, "m")), str(Seen(theirs, "1-0")))
    # Of milliseconds in which something was appended, and of which nothing was; long ago, and later than everything.
    milliseconds, sequence = theirs.order
    found: Any = await parts.redis.xrange(theirs.stream)
    entries = {decoded(entry_id) for entry_id, _ in found}
    near = [f"{milliseconds}-{sequence + 1_000}", f"{milliseconds - 1}-{sequence + 1_000}", f"{2**63}-0"]
    assert entries.isdisjoint(near)

    for entry_id in (theirs.entry_id, *near):
        position = str(Position(theirs.partition, theirs.lane, entry_id))
        assert await told_of(parts, position, tenants.other_key) == ([position], {position: "unknown"})


async def test_what_may_have_been_trimmed_looks_the_same_whoever_had_it(tenants: Tenants) -> None:
    parts = tenants.parts
    found: Any = await parts.redis.xrange(keys.stream(0, "live"), count=1)
    ((oldest, _),) = found

    for entry_id in (decoded(oldest), "1-0"):
        assert await told_of(parts, f"0.live.{entry_id}", tenants.other_key) == ([], {})


def nested(shape: str, depth: int) -> str:
    """Write JSON of that depth."""
    opening, closing = {"lists": ("[", "]"), "objects": ('{"k":', "}")}[shape]
    return opening * depth + "1" + closing * depth


@pytest.mark.parametrize(
    "value",
    [
        nested("lists", 130),
        nested("objects", 130),
        nested("lists", 20),
        "1" + "0" * 40,
        "1" + "0" * 308,
        "-1e308",
        "5e-324",
    ],
    ids=lambda value: value[:24],
)
async def test_odd_metadata_does_not_bury_the_rest(tenants: Tenants, user: str, value: str) -> None:
    body = f'{{"user_id": "{user}", "text": "hello", "message_id": "odd", "metadata": {{"odd": {value}}}}}'
    async with tenants.parts.client("ingest-1") as ingest:
        response = await ingest.post("/v1/messages", content=body.encode())
        sent = await post(ingest, user, "hello", message_id="even")

    async with tenants.parts.client("retriever-1") as retriever:
        found = ids_of(await search(retriever, user, "hello", wait_for=[sent["position"]]))
    assert sorted(found) == (["even", "odd"] if response.status_code == 202 else ["even"])
    assert response.status_code in {202, 422}


@pytest.mark.parametrize("tenant", ["", "a/b"])
async def test_a_tenant_of_another_alphabet_is_refused_in_one_line(tenants: Tenants, tenant: str) -> None:
    code, out, err = await issue_key(tenants.parts, "--", tenant)

    assert (code != 0, out) == (True, "")
    assert len(err.splitlines()) == 1


async def test_a_batch_just_within_its_limits_is_taken(tenants: Tenants, user: str) -> None:
    body = b"\n".join(line(user, f"m-{n:04}", "w") for n in range(999)) + b"\n" + line(user, "long", "w" * 60_000)
    async with tenants.parts.client("ingest-1") as ingest:
        out = answered(await post_lines(ingest, body, lane="bulk"), 200)

    assert (out["accepted"], out["rejected"]) == (1000, 0)
