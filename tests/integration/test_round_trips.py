"""How often the retriever asks Qdrant and Redis for an answer, and what: counted by what stands in between."""

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio
from exchanges import answered, ids_of, problem
from installation import Installation, installed
from qdrant_proxy import QdrantProxy, proxied
from waiting import until

MODES = ("hybrid", "dense", "keyword")


@dataclass(frozen=True, slots=True)
class Site:
    """An installation whose retriever reaches Qdrant through a proxy."""

    parts: Installation
    proxy: QdrantProxy
    ingest: httpx.AsyncClient
    retriever: httpx.AsyncClient

    async def say(self, user: str, *texts: str, **fields: Any) -> None:  # noqa: ANN401 - of a message
        """Post messages, named by their numbers, and wait until they are searchable."""
        bodies = [{"user_id": user, "message_id": str(n), "text": text, **fields} for n, text in enumerate(texts)]
        posted = answered(await self.ingest.post("/v1/messages/batch", json={"messages": bodies}), 200)
        positions = [result["position"] for result in posted["results"]]
        await self.ask("/v1/search", user_id="nobody", query="x", wait_for=positions, wait_timeout=60)

    async def ask(self, path: str, **body: Any) -> dict[str, Any]:  # noqa: ANN401 - of a request
        """Ask, and write down what that makes the retriever ask."""
        self.proxy.forget()
        return answered(await self.retriever.post(path, json=body), 200)


@pytest_asyncio.fixture(scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """Start everything, Qdrant first: the proxy's address is known then."""
    settings: dict[str, dict[str, str]] = {}
    async with installed(Installation(tmp_path_factory.mktemp("round-trips"), settings=settings)) as parts:
        parts.settings = settings
        await parts.start("redis")
        await parts.start("keys", "qdrant", "embeddings")
        async with proxied(parts.qdrant()) as proxy:
            settings["retriever-1"] = {
                "MEMSTREAM_RETRIEVER_QDRANT_URL": proxy.url,
                "MEMSTREAM_RETRIEVER_QDRANT_TIMEOUT": "3",
            }
            await parts.start("ingest-1", "embedder-1", "retriever-1")
            async with parts.client("ingest-1") as ingest, parts.client("retriever-1") as retriever:
                yield Site(parts, proxy, ingest, retriever)


LONG = "Nothing of note was said today. " * 200 + "The combination of the safe is on the violin."


async def test_a_search_is_one_round_trip(site: Site) -> None:
    await site.say("one", *(f"The lamp {n} is on." for n in range(20)))

    for mode in MODES:
        assert len(ids_of(await site.ask("/v1/search", user_id="one", query="lamp", mode=mode))) == 10
        assert len(site.proxy.bodies) == 1


async def test_a_question_that_can_name_nobody_looks_up_no_speakers(site: Site) -> None:
    await site.say("nameless", "The lamp is on.")

    for query in ("What about the lamp?", "Is it on? I can't see.", "Did it burn on Tuesday the 7th of December?"):
        await site.ask("/v1/search", user_id="nameless", query=query)
        assert ["searches" in body for body in site.proxy.bodies] == [True]


async def test_speakers_are_looked_up_once_by_the_first_question_that_may_name_one(site: Site) -> None:
    await site.say("named", "The lamp is on.", speaker="Ann")

    for query, asked in (("What did Ann say?", ["facet", "query"]), ("What did Bo say?", ["query"])):
        await site.ask("/v1/search", user_id="named", query=query)
        assert ["query" if "searches" in body else "facet" for body in site.proxy.bodies] == asked


async def test_a_batch_is_one_round_trip_however_many_questions_it_has(site: Site) -> None:
    for user in ("b1", "b2", "b3"):
        await site.say(user, *(f"The lamp {n} of {user} is on." for n in range(20)))

    searches = [{"user_id": user, "query": "lamp", "mode": mode} for user in ("b1", "b2", "b3") for mode in MODES] * 5
    found = await site.ask("/v1/search/batch", searches=searches)

    assert [len(result["hits"]) for result in found["results"]] == [10] * 45
    assert len(site.proxy.bodies) == 1


async def test_what_hits_bring_along_is_one_more_round_trip_for_all_of_a_batch(site: Site) -> None:
    await site.say("talk", *(f"Turn {n}: the lamp." for n in range(9)), LONG, conversation_id="c")

    search = {"user_id": "talk", "query": "safe combination violin lamp", "neighbours": 2}
    found = await site.ask("/v1/search/batch", searches=[search, {**search, "neighbours": 0}, search])

    assert len(site.proxy.bodies) == 2
    first, second, third = ([{**hit, "signals": None} for hit in result["hits"]] for result in found["results"])
    assert first == third
    assert [{**hit, "before": [], "after": []} for hit in first] == second
    assert any(hit["text"] == LONG for hit in second)


async def test_every_query_asks_for_one_owner(site: Site) -> None:
    """Whatever is asked: each filter demands one owner, beside everything else."""
    await site.say("talk", *(f"Turn {n}: the lamp." for n in range(9)), LONG, conversation_id="c")

    for path, body in (
        ("/v1/search", {"query": "lamp", "neighbours": 3, "filter": {"role": ["user", "assistant"]}}),
        ("/v1/context", {"query": "safe combination violin", "neighbours": 3, "token_budget": 500}),
    ):
        await site.ask(path, user_id="talk", **body)
        for query in [query for one in site.proxy.bodies for query in one["searches"]]:
            for level in (query, *query.get("prefetch", [])):
                assert level["filter"]["must"][0] == {"key": "owner", "match": {"value": "local/talk"}}


async def test_what_is_shared_is_asked_for_by_a_query_of_its_own_in_the_same_round_trip(site: Site) -> None:
    """Never is one filter for two owners."""
    await site.say("reads", *(f"The lamp {n} is on." for n in range(5)))
    await site.say("*", "The lamp is on from dusk to dawn.", kind="document")

    found = await site.ask("/v1/search", user_id="reads", query="lamp", shared=True)

    (asked,) = site.proxy.bodies
    owners = [query["filter"]["must"][0]["match"]["value"] for query in asked["searches"]]
    assert owners == ["local/reads", "local/reads", "local/*", "local/*"]
    for query in asked["searches"]:
        assert json.dumps(query).count("local/") == json.dumps(query).count(
            query["filter"]["must"][0]["match"]["value"]
        )
    assert {hit["shared"] for hit in found["hits"]} == {True, False}


async def test_a_qdrant_that_is_too_slow_is_no_answer_and_one_that_is_slow_is(site: Site) -> None:
    await site.say("slow", "The lamp is on.")
    body = {"user_id": "slow", "query": "lamp"}

    site.proxy.open.clear()
    try:
        too_slow = await site.retriever.post("/v1/search", json=body)
        slow = asyncio.create_task(site.ask("/v1/search", **body))
        await until(lambda: site.proxy.bodies, "Qdrant is asked")
    finally:
        site.proxy.open.set()

    assert "Qdrant" in problem(too_slow, 503, "unavailable")["detail"]
    assert int(too_slow.headers["retry-after"]) >= 1
    assert ids_of(await slow) == ["0"]


@contextlib.asynccontextmanager
async def queued(site: Site, user: str, *texts: str) -> AsyncIterator[list[str]]:
    """Post messages that are not searchable meanwhile, and give their positions."""
    site.parts.signal("embedder-1", signal.SIGSTOP)
    try:
        bodies = [{"user_id": user, "message_id": f"queued-{text}", "text": text} for text in texts]
        posted = answered(await site.ingest.post("/v1/messages/batch", json={"messages": bodies}), 200)
        yield [result["position"] for result in posted["results"]]
    finally:
        site.parts.signal("embedder-1", signal.SIGCONT)


async def asked_of_redis(site: Site) -> int:
    """Return how often Redis was asked how far the group is."""
    stats: Any = await site.parts.redis.info("commandstats")
    return int(stats.get("cmdstat_xinfo|groups", {"calls": 0})["calls"])


async def test_positions_are_waited_for_once_by_all_of_a_batch(site: Site) -> None:
    async with queued(site, "waits", "Not yet.") as (position,):
        search = {"user_id": "waits", "query": "x", "mode": "keyword", "wait_for": [position] * 2, "wait_timeout": 0.3}
        await site.ask("/v1/search", **search)
        before = await asked_of_redis(site)
        alone = await site.ask("/v1/search", **search)
        for_one = await asked_of_redis(site) - before
        together = await site.ask("/v1/search/batch", searches=[search] * 50)
        for_many = await asked_of_redis(site) - before - for_one

    assert alone["pending"] == [position]
    assert [result["pending"] for result in together["results"]] == [[position]] * 50
    # Fifty times as often, if each waited by itself.
    assert for_many < 10 * for_one


async def test_requests_that_wait_at_the_same_time_ask_redis_together(site: Site) -> None:
    async with queued(site, "waits", "Not yet either.") as (position,):
        search = {"user_id": "waits", "query": "x", "mode": "keyword", "wait_for": [position], "wait_timeout": 1}
        before = await asked_of_redis(site)
        answers = await asyncio.gather(*(site.retriever.post("/v1/search", json=search) for _ in range(50)))
        asked = await asked_of_redis(site) - before

    assert [answered(answer, 200)["pending"] for answer in answers] == [[position]] * 50
    # Three for each request, when it begins and ends; what is asked meanwhile is asked for all of them.
    assert asked <= 3 * 50 + 1 / 0.002


async def test_a_position_that_nobody_gave_out_is_answered_at_once_and_costs_next_to_nothing(site: Site) -> None:
    await site.say("unknown", "The lamp is on.")
    never = ["0.live.18446744073709551615-0", "0.bulk.18446744073709551615-7"]
    # Ingest asks now and then, too, so the least of several times is what a search costs.
    costs = []
    for _ in range(5):
        before = await asked_of_redis(site)
        found = await site.ask("/v1/search", user_id="unknown", query="lamp", wait_for=never, wait_timeout=60)
        costs.append(await asked_of_redis(site) - before)

    assert found["took_ms"] < 30_000
    assert (found["pending"], found["not_stored"]) == (never, dict.fromkeys(never, "unknown"))
    assert ids_of(found) == ["0"]
    assert min(costs) <= 2


async def test_each_question_of_a_batch_waits_as_long_as_it_says(site: Site) -> None:
    await site.say("patient", "The lamp is on.")

    async with queued(site, "patient", "One.", "Two.") as (one, other):
        searches = [
            {"user_id": "patient", "query": "lamp", "wait_for": [one], "wait_timeout": 0.4},
            {"user_id": "patient", "query": "lamp", "wait_for": [other], "wait_timeout": 0},
            {"user_id": "patient", "query": "lamp"},
        ]
        results = (await site.ask("/v1/search/batch", searches=searches))["results"]

    assert [result["pending"] for result in results] == [[one], [other], []]
    assert all(result["took_ms"] >= 400 for result in results)
