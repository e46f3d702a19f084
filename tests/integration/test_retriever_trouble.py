"""The retriever while something it needs is gone or hangs, and after it came back."""

import contextlib
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import count

import httpx
import pytest
import pytest_asyncio
from exchanges import ids_of, post, problem, search
from installation import Installation, installed
from waiting import until

TIMEOUT = 2.0
SETTINGS = {
    # Nothing but the limits of single calls ends what hangs.
    "MEMSTREAM_RETRIEVER_SEARCH_TIMEOUT": "3600",
    "MEMSTREAM_RETRIEVER_EMBEDDINGS_TIMEOUT": str(TIMEOUT),
    "MEMSTREAM_RETRIEVER_QDRANT_TIMEOUT": str(TIMEOUT),
}
QUESTION = {"user_id": "ana", "query": "Where is the spare key?"}
_numbers = count(1)


def anew() -> str:
    """Ask where the key is in words that nobody has used before, and no vector is known of."""
    return f"Where is the spare key? I ask for time number {next(_numbers)}."


@dataclass(frozen=True, slots=True)
class Site:
    """An installation that knows one message."""

    parts: Installation
    retriever: httpx.AsyncClient
    position: str

    async def ask(self, **fields: object) -> httpx.Response:
        """Ask where the key is; the client has less patience than the search."""
        return await self.retriever.post("/v1/search", json={**QUESTION, **fields})

    async def troubles(self) -> dict[str, str]:
        """Name the parts that the retriever can't serve without, and doesn't reach."""
        ready = await self.retriever.get("/health/ready")
        troubles = {name: state for name, state in ready.json()["parts"].items() if state != "ok"}
        assert ready.status_code == (503 if troubles else 200)
        return troubles

    async def lives(self) -> bool:
        """Ask whether the retriever makes progress."""
        return (await self.retriever.get("/health/live")).status_code == 200

    async def finds(self) -> bool:
        """Ask whether the key is found by both signals."""
        response = await self.ask(query=anew())
        return response.is_success and not response.json()["degraded"] and ids_of(response.json()) == ["key"]

    @contextlib.asynccontextmanager
    async def without(self, name: str, *, hung: bool = False) -> AsyncIterator[None]:
        """Let a part be dead or stopped meanwhile; at the end it is back, and the key found again."""
        if hung:
            self.parts.signal(name, signal.SIGSTOP)
        else:
            await self.parts.kill(name)
        try:
            yield
        finally:
            if hung:
                self.parts.signal(name, signal.SIGCONT)
            else:
                await self.parts.start(name)
        await until(self.finds, f"the key is found after {name} is back")
        assert await self.troubles() == {}


@pytest_asyncio.fixture(scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """Store a message where each part can be taken away."""
    folder = tmp_path_factory.mktemp("retriever-trouble")
    async with installed(Installation(folder, settings={"retriever-1": SETTINGS})) as parts:
        await parts.start("redis")
        await parts.start("keys", "qdrant", "embeddings")
        await parts.start("ingest-1", "embedder-1", "retriever-1")
        async with parts.client("ingest-1") as ingest, parts.client("retriever-1") as retriever:
            sent = await post(ingest, "ana", "The spare key is under the third flower pot.", message_id="key")
            await search(retriever, "ana", "key", wait_for=[sent["position"]])
            yield Site(parts, retriever, sent["position"])


@pytest.mark.parametrize("hung", [False, True], ids=["dead", "hung"])
async def test_without_embeddings_keywords_answer_and_say_so(site: Site, *, hung: bool) -> None:
    async with site.without("embeddings", hung=hung):
        for mode, degraded in (("hybrid", True), ("dense", True), ("keyword", False)):
            answer = (await site.ask(mode=mode, query=anew())).json()
            assert (ids_of(answer), answer["degraded"]) == (["key"], degraded)
            assert "dense" not in answer["hits"][0]["signals"]
        assert await site.troubles() == {}


@pytest.mark.parametrize("hung", [False, True], ids=["dead", "hung"])
async def test_without_embeddings_a_question_asked_lately_is_answered_as_ever(site: Site, *, hung: bool) -> None:
    before = (await site.ask()).json()
    async with site.without("embeddings", hung=hung):
        meanwhile = (await site.ask()).json()

    assert not before["degraded"]
    assert {**meanwhile, "took_ms": 0} == {**before, "took_ms": 0}


async def test_without_embeddings_nothing_can_be_compared(site: Site) -> None:
    async with site.without("embeddings"):
        response = await site.retriever.post("/v1/similarity", json={"texts": ["a", "b"]})

    assert "embeddings" in problem(response, 503, "unavailable")["detail"]
    assert int(response.headers["retry-after"]) >= 1


@pytest.mark.parametrize("hung", [False, True], ids=["dead", "hung"])
async def test_without_qdrant_there_is_no_answer_and_a_reason(site: Site, *, hung: bool) -> None:
    async with site.without("qdrant", hung=hung):
        response = await site.ask()
        troubles, lives = await site.troubles(), await site.lives()

    assert "Qdrant" in problem(response, 503, "unavailable")["detail"]
    assert int(response.headers["retry-after"]) >= 1
    assert (list(troubles), lives) == (["qdrant"], True)


async def test_without_qdrant_whatever_needs_it_says_so(site: Site) -> None:
    async with site.without("qdrant"):
        responses = [
            await site.retriever.post("/v1/search/batch", json={"searches": [QUESTION, QUESTION]}),
            await site.retriever.post("/v1/context", json={**QUESTION, "token_budget": 100}),
            await site.retriever.get("/v1/timeline", params={"user_id": "ana"}),
        ]

    for response in responses:
        assert "Qdrant" in problem(response, 503, "unavailable")["detail"]
        assert int(response.headers["retry-after"]) >= 1


@pytest.mark.parametrize("hung", [False, True], ids=["dead", "hung"])
async def test_without_redis_a_key_that_is_known_goes_on_working(site: Site, *, hung: bool) -> None:
    async with site.without("redis", hung=hung):
        known = await site.ask()
        waiting = await site.ask(wait_for=[site.position])
        async with site.parts.client("retriever-1", key="ms_unknown") as stranger:
            unknown = await stranger.post("/v1/search", json=QUESTION)
        troubles, lives = await site.troubles(), await site.lives()

    assert ids_of(known.json()) == ["key"]
    for response in (waiting, unknown):
        assert "Redis" in problem(response, 503, "unavailable")["detail"]
        assert int(response.headers["retry-after"]) >= 1
    assert (list(troubles), lives) == (["redis"], True)
