"""Documents that belong to all users of a tenant, on a running stack; each test has a tenant of its own."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import httpx
import pytest
import pytest_asyncio
from exchanges import answered, fields_of, problem
from running_stack import RunningStack
from waiting import until

_tenants = count(1)

FERRY = "The ferry to the island leaves at nine in the morning, and at five in the evening."
VISA = "Visitors need a visa for stays of more than ninety days."


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant's clients."""

    ingest: httpx.AsyncClient
    retriever: httpx.AsyncClient

    async def say(self, user: str, *texts: str, **fields: Any) -> None:  # noqa: ANN401 - of a message
        """Post messages, named by the first word, and wait until they are searchable."""
        bodies = [{"user_id": user, "message_id": f"{text.split()[0]}", "text": text, **fields} for text in texts]
        posted = answered(await self.ingest.post("/v1/messages/batch", json={"messages": bodies}), 200)
        assert posted["rejected"] == 0, posted
        positions = [result["position"] for result in posted["results"]]
        await self.search("nobody", "x", mode="keyword", wait_for=positions, wait_timeout=60)

    async def publish(self, *texts: str, **fields: Any) -> None:  # noqa: ANN401 - of a message
        """Post documents for all users."""
        await self.say("*", *texts, kind="document", **fields)

    async def search(self, user: str, query: str, **fields: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - of a search
        """Ask as a user; give the hits."""
        body = {"user_id": user, "query": query, **fields}
        hits: list[dict[str, Any]] = answered(await self.retriever.post("/v1/search", json=body), 200)["hits"]
        return hits

    async def finds(self, user: str, query: str, **fields: Any) -> list[str]:  # noqa: ANN401 - as above
        """Ask as a user, all users' documents included; name the hits."""
        return [hit["message_id"] for hit in await self.search(user, query, shared=True, **fields)]

    async def forget(self, path: str, **params: str) -> None:
        """Have something forgotten, and wait until it is."""
        asked = answered(await self.ingest.delete(path, params=params), 202)

        async def done() -> bool:
            receipt = await self.ingest.get(f"/v1/erasures/{asked['erasure_id']}")
            return bool(receipt.json()["state"] == "done")

        await until(done, "it is forgotten")


@contextlib.asynccontextmanager
async def new_tenant(stack: RunningStack) -> AsyncIterator[Tenant]:
    """Issue a key for a tenant that nobody else is."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "memstream.ingest", "issue-key", f"tenant-{next(_tenants)}"),
        stdout=asyncio.subprocess.PIPE,
        env={"MEMSTREAM_INGEST_REDIS_URL": stack.info.redis_url},
    )
    key, _ = await process.communicate()
    headers = {"Authorization": f"Bearer {key.decode().strip()}"}
    async with (
        httpx.AsyncClient(base_url=stack.info.ingest_url, headers=headers, timeout=30) as ingest,
        httpx.AsyncClient(base_url=stack.info.retriever_url, headers=headers, timeout=30) as retriever,
    ):
        yield Tenant(ingest, retriever)


@pytest_asyncio.fixture
async def tenant(stack: RunningStack) -> AsyncIterator[Tenant]:
    """Give a tenant without anything."""
    async with new_tenant(stack) as one:
        yield one


@pytest.mark.parametrize("mode", ["hybrid", "dense", "keyword"])
async def test_every_user_finds_them_beside_their_own_messages_if_they_ask_for_it(tenant: Tenant, mode: str) -> None:
    await tenant.publish(FERRY, VISA)
    await tenant.say("ana", "Mine: I take the ferry at five.")

    query = "When does the ferry leave?"
    hits = await tenant.search("ana", query, shared=True, mode=mode)

    assert {(hit["message_id"], hit["shared"]) for hit in hits[:2]} == {("The", True), ("Mine:", False)}
    assert (await tenant.finds("ben", query, mode=mode))[0] == "The"
    assert [hit["message_id"] for hit in await tenant.search("ana", query, mode=mode)] == ["Mine:"]
    assert await tenant.search("ben", query, mode=mode) == []


async def test_another_tenants_users_never_see_them(stack: RunningStack, tenant: Tenant) -> None:
    await tenant.publish(FERRY)

    async with new_tenant(stack) as other:
        await other.publish(VISA)
        assert await other.finds("ana", "ferry to the island") == ["Visitors"]
        timeline = answered(await other.retriever.get("/v1/timeline", params={"user_id": "*"}), 200)
    assert [message["message_id"] for message in timeline["messages"]] == ["Visitors"]
    assert await tenant.finds("ana", "visa for visitors") == ["The"]


async def test_hits_of_both_kinds_are_in_the_order_of_their_relevance(tenant: Tenant) -> None:
    await tenant.publish(*(f"D{n}: the ferry number {n} to the island leaves at nine." for n in range(6)))
    await tenant.say("ana", *(f"M{n}: I saw the ferry of {n} o'clock from the island." for n in range(6)))

    hits = await tenant.search("ana", "ferry to the island", shared=True, limit=8)

    relevances = [hit["relevance"] for hit in hits]
    assert len(hits) == 8
    assert relevances == sorted(relevances, reverse=True)
    assert {hit["shared"] for hit in hits} == {True, False}


async def test_the_same_id_may_name_a_message_and_a_document(tenant: Tenant) -> None:
    await tenant.publish(FERRY)
    await tenant.say("ana", "The ferry is never in time.")

    hits = await tenant.search("ana", "ferry", shared=True)

    assert sorted((hit["message_id"], hit["shared"]) for hit in hits) == [("The", False), ("The", True)]


async def test_a_hit_tells_which_part_of_a_long_document_answers(tenant: Tenant) -> None:
    words = [f"Paragraph {n} of the handbook is about the machine number {n} and its oil." for n in range(200)]
    words[150] = "The combination of the safe is written on the back of the violin."
    text = "\n\n".join(words)
    await tenant.publish(text)

    (hit,) = await tenant.search("ana", "Where is the combination of the safe written?", shared=True)

    assert hit["text"] == text
    assert words[150] in hit["passage"]
    assert hit["passage"] in text
    assert 0 < hit["chunk"] < hit["chunks"]
    # They overlap, and together are the whole: what stands at 3/4 of the text is answered by a chunk of there.
    assert hit["chunk"] / hit["chunks"] == pytest.approx(0.75, abs=0.05)


async def test_filters_hold_for_them_too(tenant: Tenant) -> None:
    await tenant.publish(FERRY, metadata={"topic": "boats"})
    await tenant.publish(VISA, metadata={"topic": "papers"})
    await tenant.say("ana", "Mine is the ferry.", metadata={"topic": "boats"})

    assert sorted(await tenant.finds("ana", "ferry", filter={"metadata": {"topic": "boats"}})) == ["Mine", "The"]
    assert await tenant.finds("ana", "ferry", filter={"metadata": {"topic": "papers"}}) == ["Visitors"]
    assert sorted(await tenant.finds("ana", "ferry", filter={"kind": "document"})) == ["The", "Visitors"]


async def test_a_context_cites_them_as_what_they_are(tenant: Tenant) -> None:
    await tenant.publish(FERRY)
    await tenant.say("ana", "Mine: I take the ferry at five.", speaker="Ana")
    body = {"user_id": "ana", "query": "When does the ferry leave?", "token_budget": 500, "shared": True}

    found = answered(await tenant.retriever.post("/v1/context", json={**body, "min_relevance": 0}), 200)

    assert {(one["message_id"], one["shared"]) for one in found["citations"]} == {("The", True), ("Mine:", False)}
    assert f"document: {FERRY}" in found["context"]
    assert "Ana: Mine" in found["context"]


async def test_a_deleted_document_is_found_by_nobody(tenant: Tenant) -> None:
    await tenant.publish(FERRY, VISA)
    await tenant.say("ana", "Mine is the ferry.")

    await tenant.forget("/v1/messages", user_id="*", message_id="The")
    assert sorted(await tenant.finds("ana", "ferry")) == ["Mine", "Visitors"]

    await tenant.forget("/v1/users", user_id="*")
    assert await tenant.finds("ana", "ferry") == ["Mine"]


async def test_erasing_a_user_leaves_them(tenant: Tenant) -> None:
    await tenant.publish(FERRY)
    await tenant.say("ana", "Mine is the ferry.")

    await tenant.forget("/v1/users", user_id="ana")

    assert await tenant.finds("ana", "ferry") == ["The"]


async def test_a_document_has_a_state_and_is_not_added_twice(tenant: Tenant) -> None:
    await tenant.publish(FERRY)
    again = await tenant.ingest.post(
        "/v1/messages", json={"user_id": "*", "message_id": "The", "text": FERRY, "kind": "document"}
    )
    state = await tenant.ingest.get("/v1/messages/state", params={"user_id": "*", "message_id": "The"})

    assert answered(again, 202)["duplicate"]
    assert answered(state, 200)["state"] == "stored"
    assert await tenant.finds("ana", "ferry") == ["The"]


async def test_only_documents_belong_to_all_users(tenant: Tenant) -> None:
    for fields in ({}, {"kind": "message"}, {"kind": "note"}):
        body = {"user_id": "*", "text": "hello", **fields}
        assert fields_of(problem(await tenant.ingest.post("/v1/messages", json=body), 422, "invalid")) == ["kind"]
        batch = answered(await tenant.ingest.post("/v1/messages/batch", json={"messages": [body]}), 200)
        assert batch["results"][0]["error"]["message"].startswith("kind: ")


async def test_nobody_asks_as_all_users(tenant: Tenant) -> None:
    for path, more in (("/v1/search", {}), ("/v1/context", {"token_budget": 10})):
        body = {"user_id": "*", "query": "ferry", **more}
        assert fields_of(problem(await tenant.retriever.post(path, json=body), 422, "invalid")) == ["user_id"]


@pytest.mark.parametrize("value", ["yes", 1, None])
async def test_shared_is_true_or_false(tenant: Tenant, value: object) -> None:
    body = {"user_id": "ana", "query": "ferry", "shared": value}

    assert fields_of(problem(await tenant.retriever.post("/v1/search", json=body), 422, "invalid")) == ["shared"]


async def test_a_repetition_across_the_two_is_one_for_diversity(tenant: Tenant) -> None:
    when = {"occurred_at": "2025-05-01T10:00:00Z"}
    await tenant.publish(FERRY, **when)
    await tenant.say("ana", FERRY, "For the ferry one needs a ticket.", **when)

    hits = await tenant.search("ana", "When does the ferry leave?", shared=True, diversity=1)

    assert [hit["message_id"] for hit in hits] == ["The", "For", "The"]
    assert hits[2]["signals"]["redundancy"] == pytest.approx(1, abs=0.01)
