"""The retriever when more is asked than it can do: what waits, what is refused, what is shared, and when it ends."""

import asyncio
import contextlib
import signal
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import httpx
from exchanges import answered, ids_of, problem
from integration.worksite import Worksite
from waiting import until

from memstream.web.credentials import Credential, store_key

NEVER = "0.live.18446744073709551615-0"
LONG = 60.0
SHORT = 3.0
"""Seconds that are enough for an answer, and are over soon."""
QUESTION = {"user_id": "ana", "query": "where is the key"}


@contextlib.asynccontextmanager
async def asking(site: Worksite, **settings: object) -> AsyncIterator[httpx.AsyncClient]:
    """Run a retriever that knows a message of Ana's; gives a client with as many connections as it takes."""
    await site.work()
    await site.say(["the key is under the mat"])
    await site.finished()
    await site.serve(**settings)
    async with httpx.AsyncClient(
        base_url=site.parts.url("retriever-1"),
        headers={"Authorization": f"Bearer {await key_of_acme(site)}"},
        timeout=4 * LONG,
        limits=httpx.Limits(max_connections=None),
    ) as client:
        answered(await client.post("/v1/search", json={**QUESTION, "mode": "keyword"}), 200)
        site.script.forget()
        yield client


async def key_of_acme(site: Worksite) -> str:
    """Give a key of the tenant whose messages `say` writes."""
    key = "ms_crowds"
    await store_key(site.redis, key, Credential("acme"))
    return key


async def counted(client: httpx.AsyncClient, name: str) -> float:
    """Read a metric."""
    lines = (await client.get("/metrics")).text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


async def test_of_a_thousand_at_once_as_many_as_may_are_answered_and_the_others_told_to_come_again(
    site: Worksite,
) -> None:
    async with asking(
        site, searches_at_once=8, searches_waiting=50, search_timeout=4 * LONG, embeddings_timeout=4 * LONG
    ) as client:
        site.script.open.clear()
        seen: Counter[int] = Counter()

        async def ask() -> httpx.Response:
            response = await client.post("/v1/search", json=QUESTION)
            seen[response.status_code] += 1
            return response

        asked = [asyncio.create_task(ask()) for _ in range(1000)]
        await until(lambda: seen[503] == 942, "all that are too many are refused")
        waiting = await counted(client, "memstream_retriever_waiting ")
        site.script.open.set()
        responses = await asyncio.gather(*asked)

        assert (seen, waiting) == ({200: 58, 503: 942}, 50)
        for response in responses:
            if response.status_code == 503:
                assert "50 requests wait already" in problem(response, 503, "unavailable")["detail"]
                assert int(response.headers["retry-after"]) >= 1
            else:
                assert (ids_of(response.json()), response.json()["degraded"]) == (["the key is under the mat"], False)
        assert site.script.counts.by_text == {"where is the key": 1}
        assert (await client.post("/v1/search", json=QUESTION)).status_code == 200
        assert await counted(client, "memstream_retriever_turned_away_total ") == 942
        assert await counted(client, "memstream_retriever_waiting ") == 0


async def test_questions_that_come_while_a_call_is_under_way_share_the_next(site: Worksite) -> None:
    async with asking(site, query_calls=1, search_timeout=LONG, embeddings_timeout=LONG) as client:
        site.script.open.clear()
        asked = [
            asyncio.create_task(client.post("/v1/search", json={**QUESTION, "query": f"key {number}"}))
            for number in range(21)
        ]

        async def are_wanted() -> bool:
            return await counted(client, 'memstream_retriever_query_vectors_total{source="asked"}') == 21

        await until(are_wanted, "all vectors are wanted")
        site.script.open.set()
        responses = await asyncio.gather(*asked)

        assert [response.json()["degraded"] for response in responses] == [False] * 21
        assert sum(site.script.counts.sizes) == 21
        assert len(site.script.counts.sizes) <= 3

        again = answered(await client.post("/v1/search", json={**QUESTION, "query": "key 7"}), 200)
        assert (again["degraded"], sum(site.script.counts.sizes)) == (False, 21)
        assert await counted(client, 'memstream_retriever_query_vectors_total{source="remembered"}') == 1


async def test_embeddings_that_take_too_long_are_done_without(site: Worksite) -> None:
    async with asking(site, search_timeout=SHORT, embeddings_timeout=LONG) as client:
        site.script.open.clear()
        answer = answered(await client.post("/v1/search", json=QUESTION), 200)

        assert (ids_of(answer), answer["degraded"]) == (["the key is under the mat"], True)
        assert answer["took_ms"] < 1000 * LONG / 2


async def test_a_qdrant_that_hangs_is_given_up_by_the_deadline_which_leaves_waiting_out(site: Worksite) -> None:
    async with asking(site, search_timeout=SHORT, qdrant_timeout=2 * LONG) as client:
        waited = answered(
            await client.post("/v1/search", json={**QUESTION, "wait_for": [NEVER], "wait_timeout": SHORT + 0.5}), 200
        )
        site.parts.signal("qdrant", signal.SIGSTOP)
        try:
            hung = await client.post("/v1/search", json=QUESTION)
        finally:
            site.parts.signal("qdrant", signal.SIGCONT)

        assert waited["pending"] == [NEVER]
        assert "Qdrant" in problem(hung, 503, "unavailable")["detail"]
        assert int(hung.headers["retry-after"]) >= 1
        assert ids_of(answered(await client.post("/v1/search", json=QUESTION), 200)) == ["the key is under the mat"]


async def test_who_waits_for_a_position_keeps_nobody_out(site: Worksite) -> None:
    async with asking(site, searches_at_once=1, searches_waiting=0) as client:

        async def looked_for() -> bool:
            stats: Any = await site.redis.info("commandstats")
            return int(stats.get("cmdstat_xinfo|groups", {"calls": 0})["calls"]) >= before + 5

        await site.parts.kill("embedder-1")
        (entry_id,) = await site.say(["nobody embeds this"])
        stats: Any = await site.redis.info("commandstats")
        before = int(stats.get("cmdstat_xinfo|groups", {"calls": 0})["calls"])
        waiting = asyncio.create_task(
            client.post("/v1/search", json={**QUESTION, "wait_for": [f"0.live.{entry_id}"], "wait_timeout": 50})
        )
        await until(looked_for, "its position is looked for")
        assert (await client.post("/v1/search", json=QUESTION)).status_code == 200
        assert not waiting.done()
        waiting.cancel()


async def test_nothing_is_done_for_who_has_hung_up(site: Worksite) -> None:
    settings = {"search_timeout": 10 * LONG, "embeddings_timeout": 10 * LONG}
    async with asking(site, searches_at_once=1, searches_waiting=0, **settings) as client:
        site.script.open.clear()

        async def has_room() -> bool:
            return (await client.post("/v1/search", json={**QUESTION, "mode": "keyword"})).status_code == 200

        for number, (path, body) in enumerate(
            (
                ("/v1/search", {**QUESTION, "query": "one"}),
                ("/v1/context", {**QUESTION, "query": "two", "token_budget": 100}),
                ("/v1/search/batch", {"searches": [{**QUESTION, "query": "three"}]}),
            ),
            1,
        ):
            gone = asyncio.create_task(client.post(path, json=body))
            await site.calls(number)
            assert not await has_room()
            gone.cancel()
            await until(has_room, "the place is free again")
