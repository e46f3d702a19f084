"""The simulated provider does what its script says; measurements rest on it."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator

import httpx
import numpy as np
import openai
import pytest
import pytest_asyncio
from ports import free_ports
from provider.limits import RateLimits, span
from provider.script import Script
from provider.server import providing
from waiting import PATIENCE, until


@pytest.fixture
def script() -> Script:
    """Make a script without orders."""
    return Script(dimensions=8)


@pytest_asyncio.fixture
async def client(script: Script) -> AsyncIterator[openai.AsyncOpenAI]:
    """Serve it, and give a client that tries once."""
    async with (
        providing(script) as url,
        openai.AsyncOpenAI(api_key="x", base_url=url, max_retries=0, timeout=PATIENCE) as client,
    ):
        yield client


async def embed(client: openai.AsyncOpenAI, *texts: str) -> list[list[float]]:
    answer = await client.embeddings.create(model="simulated", input=list(texts))
    return [item.embedding for item in answer.data]


async def test_the_same_text_has_the_same_vector_of_length_one(client: openai.AsyncOpenAI) -> None:
    first, other, again = await embed(client, "a", "b", "a")
    assert first == again != other
    assert np.linalg.norm(first) == pytest.approx(1, abs=1e-6)


async def test_without_orders_nothing_is_limited_and_everything_is_counted(
    client: openai.AsyncOpenAI, script: Script
) -> None:
    await asyncio.gather(*(embed(client, "a", "b") for _ in range(30)))
    assert (script.counts.calls, script.counts.texts, script.counts.refused) == (30, 60, 0)


async def test_only_the_next_calls_fail(client: openai.AsyncOpenAI, script: Script) -> None:
    script.fail_next(1, "rate_limit", retry_after=7)
    with pytest.raises(openai.RateLimitError) as refused:
        await embed(client, "a")
    assert refused.value.response.headers["retry-after"] == "7"
    await embed(client, "a")


async def test_over_the_requests_a_minute_a_call_is_refused_and_told_when_to_come_back(
    client: openai.AsyncOpenAI, script: Script
) -> None:
    script.limits = RateLimits(requests_per_minute=2, tokens_per_minute=1000)
    answer = await client.embeddings.with_raw_response.create(model="simulated", input="a")
    assert answer.headers["x-ratelimit-limit-requests"] == "2"
    assert answer.headers["x-ratelimit-remaining-requests"] == "1"
    assert int(answer.headers["x-ratelimit-remaining-tokens"]) < 1000
    await embed(client, "a")
    with pytest.raises(openai.RateLimitError) as refused:
        await embed(client, "a")
    assert 0 < float(refused.value.response.headers["retry-after"]) <= 60


async def test_over_the_tokens_a_minute_a_call_is_refused(client: openai.AsyncOpenAI, script: Script) -> None:
    script.limits = RateLimits(tokens_per_minute=100)
    await embed(client, "x" * 320)
    with pytest.raises(openai.RateLimitError):
        await embed(client, "x" * 320)


def test_budgets_refill_with_time() -> None:
    limits = RateLimits(requests_per_minute=60)
    assert all(limits.admit(1, now=0.0).retry_after is None for _ in range(60))
    assert limits.admit(1, now=0.0).retry_after == pytest.approx(1.0)
    assert limits.admit(1, now=3.0).retry_after is None


@pytest.mark.parametrize(("seconds", "text"), [(0, "0s"), (0.012, "12ms"), (1.5, "1.5s"), (360, "6m0s")])
def test_spans_are_written_as_in_openais_headers(seconds: float, text: str) -> None:
    assert span(seconds) == text


async def test_over_its_concurrency_calls_are_refused(client: openai.AsyncOpenAI, script: Script) -> None:
    script.concurrency = 2
    script.open.clear()
    calls = [asyncio.create_task(embed(client, "a")) for _ in range(5)]
    await until(lambda: script.counts.calls == 5, "all calls are made")
    script.open.set()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(answer, openai.RateLimitError) for answer in answers) == 3


async def test_in_a_storm_that_share_of_calls_is_refused(client: openai.AsyncOpenAI, script: Script) -> None:
    script.storm = 0.5
    answers = await asyncio.gather(*(embed(client, "a") for _ in range(100)), return_exceptions=True)
    assert 30 < sum(isinstance(answer, openai.RateLimitError) for answer in answers) < 70


async def test_a_dropped_connection_is_one(client: openai.AsyncOpenAI, script: Script) -> None:
    script.fail_next(1, "dropped")
    with pytest.raises(openai.APIConnectionError):
        await embed(client, "a")


async def test_it_runs_as_a_process_and_is_set_from_outside() -> None:
    port = free_ports(1)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.provider", "--port", str(port), "--dimensions", "8", "--rpm", "1"),
        env=os.environ,
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as outside:

            async def answers() -> bool:
                try:
                    return (await outside.get("/counts")).is_success
                except httpx.TransportError:
                    return False

            await until(answers, "the provider answers")
            call = {"model": "simulated", "input": "a"}
            assert [(await outside.post("/v1/embeddings", json=call)).status_code for _ in range(2)] == [200, 429]
            assert (await outside.post("/script", json={"limits": {}})).status_code == 200
            assert (await outside.post("/v1/embeddings", json=call)).status_code == 200
            assert (await outside.get("/counts")).json()["refused"] == 1
    finally:
        process.terminate()
        await process.wait()


async def test_as_a_process_it_knows_poison_from_its_start_and_fails_until_it_is_mended() -> None:
    port = free_ports(1)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.provider", "--port", str(port), "--dimensions", "8", "--poison", "hemlock"),
        env=os.environ,
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as outside:

            async def status(text: str) -> int:
                try:
                    answer = await outside.post("/v1/embeddings", json={"model": "simulated", "input": text})
                except httpx.TransportError:
                    return 0
                return answer.status_code

            async def answers() -> bool:
                return await status("a") == 200

            await until(answers, "the provider answers")
            assert await status("a cup of hemlock") == 400
            await outside.post("/script", json={"fail": {"name": "server_error"}, "poison": ["henbane"]})
            assert [await status("a"), await status("a")] == [500, 500]
            await outside.post("/script", json={"mend": True})
            assert [await status("hemlock"), await status("henbane")] == [200, 400]
    finally:
        process.terminate()
        await process.wait()


async def rankings(script: Script, *documents: str, calls: int = 1) -> list[httpx.Response]:
    """Ask for the ranking of documents, several times."""
    async with providing(script) as url, httpx.AsyncClient(timeout=PATIENCE) as http:
        body = {"model": "m", "query": "the red key", "documents": documents, "top_n": len(documents)}
        return [await http.post(f"{url}/rerank", json=body) for _ in range(calls)]


async def test_documents_are_ranked_by_the_words_they_share_with_the_query(script: Script) -> None:
    (answer,) = await rankings(script, "a blue door", "the red key", "a red door")

    assert [(one["index"], one["relevance_score"]) for one in answer.json()["results"]] == [
        (1, 1.0),
        (2, 0.2),
        (0, 0.0),
    ]
    assert (script.counts.calls, script.counts.texts) == (1, 3)


async def test_a_ranking_fails_as_the_script_says(script: Script) -> None:
    script.fail_next(1, "rate_limit", retry_after=7)
    script.fail_next(1, "wrong_count")
    script.fail_next(1, "repeated")
    script.fail_next(1, "not_a_number")
    script.fail_next(1, "page")

    refused, short, repeated, odd, page = await rankings(script, "red", "blue", calls=5)

    assert (refused.status_code, refused.headers["retry-after"]) == (429, "7")
    assert len(short.json()["results"]) == 1
    assert [one["index"] for one in repeated.json()["results"]] == [1, 1]
    assert "NaN" in odd.text
    assert page.headers["content-type"].startswith("text/html")
