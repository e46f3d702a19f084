"""The retriever with a rerank server: its order, and the order without it when it fails in any way."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from exchanges import answered, ids_of
from integration.worksite import Worksite
from provider.faults import FaultName
from provider.limits import RateLimits
from provider.script import Script
from provider.server import providing
from waiting import until

from memstream.web.credentials import Credential, store_key

PATIENT = 60.0
SHORT = 0.2
"""Seconds; for what never comes."""
TEXTS = [f"the key is on shelf {number}" for number in range(30)]
QUESTION: Mapping[str, Any] = {"user_id": "ana", "query": "where is the key", "mode": "keyword"}


@dataclass(frozen=True, slots=True)
class Desk:
    """A retriever that knows thirty messages, and the script of its rerank server."""

    http: httpx.AsyncClient
    rerank: Script

    async def ask(self, **fields: object) -> dict[str, Any]:
        """Search; it must be answered."""
        return answered(await self.http.post("/v1/search", json={**QUESTION, **fields}), 200)

    async def count(self, outcome: str) -> float:
        """Read how many searches ended so."""
        name = f'memstream_retriever_rerankings_total{{outcome="{outcome}"}} '
        lines = (await self.http.get("/metrics")).text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


@contextlib.asynccontextmanager
async def desk(site: Worksite, **settings: object) -> AsyncIterator[Desk]:
    """Run a retriever whose rerank server prefers high numbers."""
    script = Script()
    script.relevance = lambda _query, text: float(text.split()[-1])
    async with providing(script) as url:
        await site.work()
        await site.say(TEXTS)
        await site.finished()
        await site.serve(rerank_url=url, rerank_model="simulated", **{"rerank_timeout": PATIENT, **settings})
        await store_key(site.redis, "ms_rerank", Credential("acme"))
        async with httpx.AsyncClient(
            base_url=site.parts.url("retriever-1"), headers={"Authorization": "Bearer ms_rerank"}, timeout=2 * PATIENT
        ) as http:
            yield Desk(http, script)


def numbers_of(answer: Mapping[str, Any]) -> list[int]:
    return [int(hit["text"].split()[-1]) for hit in answer["hits"]]


def relevances_of(answer: Mapping[str, Any]) -> list[float]:
    return [hit["relevance"] for hit in answer["hits"]]


def falls(values: list[float] | list[int]) -> bool:
    return list(values) == sorted(values, reverse=True)


@pytest.mark.parametrize("mode", ["hybrid", "dense", "keyword"])
async def test_the_best_twenty_hits_are_in_the_servers_order(site: Worksite, mode: str) -> None:
    async with desk(site) as at:
        at.rerank.fail_next(1, "unavailable")
        before = await at.ask(mode=mode, limit=30)
        after = await at.ask(mode=mode, limit=30)

    assert (before["reranked"], after["reranked"]) == (False, True)
    first, rest = after["hits"][:20], after["hits"][20:]
    assert numbers_of({"hits": first}) == sorted(numbers_of({"hits": before["hits"][:20]}), reverse=True)
    assert rest == before["hits"][20:]
    assert relevances_of(after) == relevances_of(before)
    assert falls(relevances_of(after))
    assert [hit["signals"]["rerank"] for hit in first] == [float(number) for number in numbers_of({"hits": first})]
    assert not any("rerank" in hit["signals"] for hit in rest)


async def test_a_search_for_one_hit_finds_the_best_of_twenty(site: Worksite) -> None:
    async with desk(site) as at:
        many, one = await at.ask(limit=20), await at.ask(limit=1)

    assert one["hits"] == many["hits"][:1]


async def test_texts_are_sent_as_they_were_embedded(site: Worksite) -> None:
    async with desk(site, rerank_hits=5) as at:
        await at.ask()

    assert set(at.rerank.counts.by_text) <= set(site.script.counts.by_text)
    assert at.rerank.counts.sizes == [5]


async def test_a_threshold_holds_for_the_relevances_that_are_shown(site: Worksite) -> None:
    async with desk(site) as at:
        every = await at.ask(mode="hybrid", limit=30)
        threshold = relevances_of(every)[4]
        some = await at.ask(mode="hybrid", limit=30, min_relevance=threshold)
        at.rerank.forget()
        none = await at.ask(mode="hybrid", min_relevance=1)

    assert some["hits"] == [hit for hit in every["hits"] if hit["relevance"] >= threshold]
    assert (none["hits"], none["reranked"], at.rerank.counts.calls) == ([], False, 0)


async def test_preferences_count_with_the_relevances_of_the_new_order(site: Worksite) -> None:
    async with desk(site) as at:
        plain = await at.ask()
        preferred = await at.ask(recency={"half_life": 1e9, "weight": 0.1}, diversity=0.1)

    assert preferred["reranked"]
    assert numbers_of(preferred)[0] == numbers_of(plain)[0]
    assert {"rerank", "recency", "redundancy"} <= set(preferred["hits"][0]["signals"])


async def test_a_context_is_built_from_the_new_order(site: Worksite) -> None:
    async with desk(site) as at:
        best = numbers_of(await at.ask(limit=1))
        body = {**QUESTION, "limit": 1, "token_budget": 200, "min_relevance": 0}
        context = answered(await at.http.post("/v1/context", json=body), 200)

    assert context["reranked"]
    assert [citation["message_id"] for citation in context["citations"]] == [f"the key is on shelf {best[0]}"]


async def test_the_searches_of_a_batch_are_reranked_at_once_each_for_itself(site: Worksite) -> None:
    async with desk(site) as at:
        at.rerank.open.clear()
        body = {"searches": [{**QUESTION, "query": f"key {number}"} for number in range(8)]}
        asked = asyncio.create_task(at.http.post("/v1/search/batch", json=body))
        await until(lambda: at.rerank.counts.under_way == 8, "all are asked about")
        at.rerank.open.set()
        results = answered(await asked, 200)["results"]

    assert [result["reranked"] for result in results] == [True] * 8
    assert all(falls(numbers_of(result)) for result in results)


FAULTS: list[tuple[FaultName, str]] = [
    ("unavailable", "unavailable"),
    ("server_error", "unavailable"),
    ("dropped", "unavailable"),
    ("page", "unavailable"),
    ("wrong_count", "unavailable"),
    ("repeated", "unavailable"),
    ("not_a_number", "unavailable"),
    ("rate_limit", "throttled"),
    ("bad_request", "refused"),
    ("unauthorized", "refused"),
    ("unknown_model", "refused"),
]


@pytest.mark.parametrize(("fault", "outcome"), FAULTS)
async def test_a_server_that_fails_leaves_the_answer_as_without_it(
    site: Worksite, fault: FaultName, outcome: str
) -> None:
    async with desk(site) as at:
        at.rerank.fail_next(1, fault)
        answer = await at.ask()
        counted = await at.count(outcome)
        # One that is called off for a while leaves it as it is, too.
        at.rerank.fail("unauthorized")
        for _ in range(2):
            without = await at.ask()

    assert (answer["reranked"], without["reranked"], counted) == (False, False, 1)
    assert answer["hits"] == without["hits"]


async def test_results_in_any_order_are_understood(site: Worksite) -> None:
    async with desk(site) as at:
        at.rerank.fail("shuffled")
        answer = await at.ask(limit=30)

    assert answer["reranked"]
    assert falls(numbers_of({"hits": answer["hits"][:20]}))


async def test_a_server_that_is_late_is_not_waited_for(site: Worksite) -> None:
    async with desk(site, rerank_timeout=SHORT) as at:
        at.rerank.open.clear()
        answer = await at.ask()
        counted = await at.count("late")

    assert (answer["reranked"], len(answer["hits"]), counted) == (False, 10, 1)
    assert answer["took_ms"] < 1000 * PATIENT / 2


async def test_the_deadline_of_a_search_goes_before_that_of_the_server(site: Worksite) -> None:
    async with desk(site, search_timeout=3, rerank_timeout=PATIENT) as at:
        at.rerank.open.clear()
        answer = await at.ask()

    assert (answer["reranked"], len(answer["hits"])) == (False, 10)
    assert answer["took_ms"] < 3000


async def test_a_server_that_is_gone_is_left_alone_and_asked_again_when_it_is_back(site: Worksite) -> None:
    async with desk(site) as at:
        at.rerank.fail("unavailable", retry_after=1)
        gone = [(await at.ask())["reranked"] for _ in range(5)]
        calls = at.rerank.counts.calls
        at.rerank.mend()

        async def is_back() -> bool:
            return bool((await at.ask())["reranked"])

        await until(is_back, "hits are reranked again")
        paused = await at.count("paused")

    assert gone == [False] * 5
    assert calls < 5
    assert paused >= 1


async def test_over_the_rate_limit_the_order_is_the_one_without(site: Worksite) -> None:
    async with desk(site) as at:
        at.rerank.limits = RateLimits(requests_per_minute=1)
        first, second = await at.ask(), await at.ask()
        throttled = await at.count("throttled")

    assert (first["reranked"], second["reranked"], throttled) == (True, False, 1)


async def test_no_more_calls_than_permitted_are_in_flight(site: Worksite) -> None:
    async with desk(site, rerank_calls=2) as at:
        answers = await asyncio.gather(*(at.ask() for _ in range(12)))

    assert [answer["reranked"] for answer in answers] == [True] * 12
    assert at.rerank.counts.most_under_way <= 2


async def test_callers_who_go_away_leave_the_calls_to_others(site: Worksite) -> None:
    async with desk(site, rerank_calls=2) as at:
        for number in range(1, 6):
            at.rerank.open.clear()
            gone = [asyncio.create_task(at.ask()) for _ in range(2)]
            await until(lambda calls=2 * number: at.rerank.counts.calls == calls, "both are asked about")
            for task in gone:
                task.cancel()
            await asyncio.gather(*gone, return_exceptions=True)
            at.rerank.open.set()
        answer = await at.ask()

    assert answer["reranked"]


async def test_without_embeddings_the_hits_of_keywords_are_reranked(site: Worksite) -> None:
    async with desk(site) as at:
        site.script.fail("unauthorized")
        answer = await at.ask(mode="hybrid")

    assert (answer["degraded"], answer["reranked"]) == (True, True)
    assert falls(numbers_of(answer))


async def test_without_a_rerank_server_nothing_is_reranked(site: Worksite) -> None:
    async with desk(site, rerank_url="", rerank_model="") as at:
        answer = await at.ask()

    assert (answer["reranked"], len(ids_of(answer)), at.rerank.counts.calls) == (False, 10, 0)
