"""The retriever with a rerank server: its order, and the order without it when it fails in any way."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio
from exchanges import answered, ids_of
from integration.worksite import Worksite
from provider.faults import FaultName
from provider.script import Script
from provider.server import providing
from waiting import until

from memstream.web.credentials import Credential, store_key

PATIENT = 60.0
SHORT = 0.2
"""Seconds; for what never comes."""
TEXTS = [f"the key is on shelf {number}" for number in range(30)]
QUESTION: Mapping[str, Any] = {"user_id": "ana", "query": "where is the key", "mode": "keyword"}


SETTINGS = {"rerank_model": "simulated", "rerank_timeout": PATIENT, "search_timeout": 2 * PATIENT, "rerank_calls": 8}


@dataclass(frozen=True, slots=True)
class Desk:
    """A retriever that knows thirty messages, and the script of its rerank server, which prefers high numbers."""

    site: Worksite
    http: httpx.AsyncClient
    rerank: Script
    url: str
    """The base URL of the rerank server."""

    async def ask(self, **fields: object) -> dict[str, Any]:
        """Search; it must be answered."""
        return answered(await self.http.post("/v1/search", json={**QUESTION, **fields}), 200)

    async def ask_without(self, **fields: object) -> dict[str, Any]:
        """Search while the rerank server fails."""
        self.rerank.fail_next(1, "unavailable")
        answer = await self.ask(**fields)
        assert not answer["reranked"]
        return answer

    async def is_reranking(self) -> bool:
        """Say whether hits are in the rerank server's order."""
        return bool((await self.ask())["reranked"])

    async def count(self, outcome: str) -> float:
        """Read how many searches ended so."""
        name = f'memstream_retriever_rerankings_total{{outcome="{outcome}"}} '
        lines = (await self.http.get("/metrics")).text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name))

    async def is_calibrated(self) -> bool:
        """Say whether the retriever has measured what cosines mean, which it does after it has started."""
        return bool((await self.ask())["calibrated"])

    @contextlib.asynccontextmanager
    async def served_with(self, **settings: object) -> AsyncIterator[None]:
        """Let the retriever have other settings meanwhile."""
        await self.site.serve_anew(**settings)
        try:
            yield
        finally:
            await self.site.serve_anew(rerank_url=self.url, **SETTINGS)


@pytest_asyncio.fixture(scope="module")
async def _desk(_worksite: Worksite) -> AsyncIterator[Desk]:
    script = Script()
    script.relevance = number_in
    async with _worksite.cleared(), providing(script) as url:
        await _worksite.work()
        await _worksite.say(TEXTS)
        await _worksite.finished()
        await _worksite.serve(rerank_url=url, **SETTINGS)
        await store_key(_worksite.redis, "ms_rerank", Credential("acme"))
        async with httpx.AsyncClient(
            base_url=_worksite.parts.url("retriever-1"),
            headers={"Authorization": "Bearer ms_rerank"},
            timeout=3 * PATIENT,
        ) as http:
            yield Desk(_worksite, http, script, url)


@pytest_asyncio.fixture
async def at(_desk: Desk) -> Desk:
    """Give the desk with a rerank server that does what it should."""
    _desk.rerank.mend()
    _desk.site.script.mend()
    await until(_desk.is_reranking, "hits are reranked")
    await until(_desk.is_calibrated, "it is calibrated")
    _desk.rerank.forget()
    return _desk


def number_in(query: str, text: str) -> float:
    del query
    return float(text.rsplit(maxsplit=1)[-1])


def numbers_of(hits: Sequence[Mapping[str, Any]]) -> list[int]:
    return [int(hit["text"].split()[-1]) for hit in hits]


def relevances_of(answer: Mapping[str, Any]) -> list[float]:
    return [hit["relevance"] for hit in answer["hits"]]


def falls(values: list[float] | list[int]) -> bool:
    return list(values) == sorted(values, reverse=True)


@pytest.mark.parametrize("mode", ["hybrid", "dense", "keyword"])
async def test_the_best_twenty_hits_are_in_the_servers_order(at: Desk, mode: str) -> None:
    before, after = await at.ask_without(mode=mode, limit=30), await at.ask(mode=mode, limit=30)

    assert after["reranked"]
    first, rest = after["hits"][:20], after["hits"][20:]
    assert numbers_of(first) == sorted(numbers_of(before["hits"][:20]), reverse=True)
    assert rest == before["hits"][20:]
    assert relevances_of(after) == relevances_of(before)
    assert falls(relevances_of(after))
    assert [hit["signals"]["rerank"] for hit in first] == [float(number) for number in numbers_of(first)]
    assert not any("rerank" in hit["signals"] for hit in rest)


async def test_a_search_for_one_hit_finds_the_best_of_twenty(at: Desk) -> None:
    many, one = await at.ask(limit=20), await at.ask(limit=1)

    assert one["hits"] == many["hits"][:1]


async def test_texts_are_sent_as_they_were_embedded(at: Desk) -> None:
    await at.ask()

    assert at.rerank.counts.sizes == [20]
    assert {text.partition(", user: ")[2] for text in at.rerank.counts.by_text} <= set(TEXTS)


async def test_a_threshold_holds_for_the_relevances_that_are_shown(at: Desk) -> None:
    every = await at.ask(mode="hybrid", limit=30)
    threshold = relevances_of(every)[4]
    some = await at.ask(mode="hybrid", limit=30, min_relevance=threshold)

    assert some["hits"] == [hit for hit in every["hits"] if hit["relevance"] >= threshold]


async def test_where_nothing_is_relevant_enough_the_server_is_not_asked(at: Desk) -> None:
    answer = await at.ask(min_relevance=1)

    assert (answer["hits"], answer["reranked"], at.rerank.counts.calls) == ([], False, 0)


async def test_preferences_count_with_the_relevances_of_the_new_order(at: Desk) -> None:
    plain = await at.ask()
    preferred = await at.ask(recency={"half_life": 1e9, "weight": 0.1}, diversity=0.1)

    assert preferred["reranked"]
    assert numbers_of(preferred["hits"])[0] == numbers_of(plain["hits"])[0]
    assert {"rerank", "recency", "redundancy"} <= set(preferred["hits"][0]["signals"])


async def test_a_context_is_built_from_the_new_order(at: Desk) -> None:
    (best,) = ids_of(await at.ask(limit=1))
    body = {**QUESTION, "limit": 1, "token_budget": 200, "min_relevance": 0}
    context = answered(await at.http.post("/v1/context", json=body), 200)

    assert context["reranked"]
    assert [citation["message_id"] for citation in context["citations"]] == [best]


async def test_the_searches_of_a_batch_are_reranked_at_once_each_for_itself(at: Desk) -> None:
    at.rerank.open.clear()
    body = {"searches": [{**QUESTION, "query": f"key {number}"} for number in range(8)]}
    asked = asyncio.create_task(at.http.post("/v1/search/batch", json=body))
    await until(lambda: at.rerank.counts.under_way == 8, "all are asked about")
    at.rerank.open.set()
    results = answered(await asked, 200)["results"]

    assert [result["reranked"] for result in results] == [True] * 8
    assert all(falls(numbers_of(result["hits"])) for result in results)


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
async def test_a_server_that_fails_leaves_the_answer_as_without_it(at: Desk, fault: FaultName, outcome: str) -> None:
    without, before = await at.ask_without(), await at.count(outcome)
    at.rerank.fail_next(1, fault)
    answer = await at.ask()

    assert {**answer, "took_ms": 0} == {**without, "took_ms": 0}
    assert await at.count(outcome) == before + 1


async def test_results_in_any_order_are_understood(at: Desk) -> None:
    at.rerank.fail("shuffled")
    answer = await at.ask(limit=30)

    assert answer["reranked"]
    assert falls(numbers_of(answer["hits"][:20]))


@pytest.mark.parametrize("fault", ["unavailable", "rate_limit"])
async def test_a_server_that_asks_for_a_pause_gets_it_and_is_asked_again(at: Desk, fault: FaultName) -> None:
    at.rerank.fail(fault, retry_after=2)
    gone = [(await at.ask())["reranked"] for _ in range(3)]
    calls = at.rerank.counts.calls
    at.rerank.mend()

    await until(at.is_reranking, "hits are reranked again")
    assert (gone, await at.count("paused") >= 1) == ([False] * 3, True)
    assert 1 <= calls <= 3


async def test_no_more_calls_than_permitted_are_in_flight(at: Desk) -> None:
    answers = await asyncio.gather(*(at.ask() for _ in range(24)))

    assert [answer["reranked"] for answer in answers] == [True] * 24
    assert at.rerank.counts.most_under_way <= 8


async def test_callers_who_go_away_leave_the_calls_to_others(at: Desk) -> None:
    for number in range(1, 4):
        at.rerank.open.clear()
        gone = [asyncio.create_task(at.ask()) for _ in range(8)]
        await until(lambda calls=8 * number: at.rerank.counts.calls == calls, "all permitted calls are made")  # type: ignore[misc]
        for task in gone:
            task.cancel()
        await asyncio.gather(*gone, return_exceptions=True)
        at.rerank.open.set()

    assert await at.is_reranking()


async def test_without_embeddings_the_hits_of_keywords_are_reranked(at: Desk) -> None:
    at.site.script.fail("unauthorized")
    answer = await at.ask(mode="hybrid", query="where is the key that nobody has asked for")

    assert (answer["degraded"], answer["reranked"]) == (True, True)
    assert falls(numbers_of(answer["hits"]))


async def test_a_server_that_is_late_is_not_waited_for(at: Desk) -> None:
    async with at.served_with(rerank_timeout=SHORT):
        at.rerank.open.clear()
        answer = await at.ask()
        counted = await at.count("late")

    assert (answer["reranked"], len(answer["hits"]), counted) == (False, 10, 1)
    assert answer["took_ms"] < 1000 * PATIENT / 2


async def test_the_deadline_of_a_search_goes_before_that_of_the_server(at: Desk) -> None:
    async with at.served_with(search_timeout=10):
        at.rerank.open.clear()
        answer = await at.ask()

    assert (answer["reranked"], len(answer["hits"])) == (False, 10)
    assert answer["took_ms"] < 10_000


async def test_without_a_rerank_server_nothing_is_reranked(at: Desk) -> None:
    without = await at.ask_without()
    async with at.served_with(rerank_url="", rerank_model=""):
        await until(at.is_calibrated, "it is calibrated")
        answer = await at.ask()

    assert {**answer, "took_ms": 0} == {**without, "took_ms": 0}
