"""What becomes of a search when a part is late, down, or full: without a process, in no time."""

import asyncio
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from prometheus_client import CollectorRegistry
from unit.memory_store import InMemoryStore
from waiting import until

from memstream.contracts.searches import ContextIn, SearchIn
from memstream.retriever.admission import ConcurrencyLimiter
from memstream.retriever.asking import KnownSpeakers, QueryEmbedder, Vector
from memstream.retriever.calculations import Calculations
from memstream.retriever.context import Contexts
from memstream.retriever.measured_calibration import MeasuredCalibration
from memstream.retriever.metrics import RetrieverMetrics
from memstream.retriever.positions import WaitOutcome
from memstream.retriever.ranking import calibration_of
from memstream.retriever.search import Searches, SearchPolicy
from memstream.runtime.clock import SystemClock
from memstream.runtime.errors import Busy, GlobalFault, MemstreamError, Rejected, Unavailable
from memstream.vectors.space import Vectors
from memstream.vectors.store import MemoryStore, owner_of

ANA = owner_of("acme", "ana")
SHORT = 0.05
"""Seconds for an answer where a part never answers."""


class Bench:
    """The retriever's search, with parts that can be made to hang or fail."""

    def __init__(
        self, timeout: float = 5.0, at_once: int = 2, waiting: int = 0, space: str = "all-MiniLM-L6-v2_384_t1"
    ) -> None:
        self.store = InMemoryStore()
        self.store.say(ANA, "the spare key is under the pot", "we had soup for lunch")
        self.embedding_hangs = False
        self.embedding_fails: MemstreamError | None = None
        self.embedded: list[str] = []
        self.undone: set[str] = set()
        self.patience: dict[str, float] = {}
        self.registry = CollectorRegistry()
        self.metrics = RetrieverMetrics(self.registry)
        self.limiter = ConcurrencyLimiter(at_once, waiting)
        store: MemoryStore = self.store
        clock = SystemClock()
        self.calibration = MeasuredCalibration(calibration_of(space), clock)
        self.searches = Searches(
            store=store,
            embedder=QueryEmbedder(self._embed, KnownSpeakers(store.speakers, clock), self.metrics),
            wait_for=self._wait_for,
            limiter=self.limiter,
            calibration=self.calibration,
            policy=SearchPolicy("model", 10, timeout),
            clock=clock,
            metrics=self.metrics,
            calculations=(calculations := Calculations()),
        )
        self.contexts = Contexts(
            self.searches.answer,
            clock,
            model="model",
            abstain_below=0.9999,
            token_counters={"cl100k_base": len},
            calculations=calculations,
        )

    async def _embed(self, texts: Sequence[str], _tenant: str) -> list[Vector]:
        self.embedded += texts
        if self.embedding_hangs:
            await asyncio.Event().wait()
        if self.embedding_fails is not None:
            raise self.embedding_fails
        return [np.array([1.0, 0.0], np.float32) for _ in texts]

    async def _wait_for(self, patience: Mapping[str, float], _tenant: str) -> WaitOutcome:
        self.patience = dict(patience)
        return WaitOutcome(frozenset(self.undone))

    async def search(self, query: str = "where is the spare key", **fields: object) -> tuple[list[str], bool]:
        """Return the texts that were found, and whether keywords alone found them."""
        asked = SearchIn.model_validate({"user_id": "ana", "query": query, **fields})
        (answer,) = await self.searches.search([asked], "acme")
        return [hit.text for hit in answer.hits], answer.degraded


async def test_a_search_finds_what_its_user_said_the_likeliest_first() -> None:
    texts, degraded = await Bench().search()

    assert (texts[0], degraded) == ("the spare key is under the pot", False)


async def test_another_user_finds_nothing() -> None:
    assert await Bench().search(user_id="bob") == ([], False)


@pytest.mark.parametrize(
    "error", [Unavailable("the provider", "down"), GlobalFault("the provider", "no key"), Rejected("odd text")]
)
async def test_without_embeddings_keywords_answer_and_say_so(error: MemstreamError) -> None:
    bench = Bench()
    bench.embedding_fails = error

    texts, degraded = await bench.search()

    assert (texts[0], degraded) == ("the spare key is under the pot", True)


async def test_embeddings_that_never_come_leave_time_for_keywords() -> None:
    bench = Bench(timeout=3.0)
    bench.embedding_hangs = True

    texts, degraded = await bench.search()

    assert (texts[0], degraded) == ("the spare key is under the pot", True)


async def test_a_search_by_keywords_needs_no_embeddings_and_is_not_degraded() -> None:
    bench = Bench()
    bench.embedding_fails = GlobalFault("the provider", "no key")

    _, degraded = await bench.search(mode="keyword")

    assert (degraded, bench.embedded) == (False, [])


async def test_a_store_that_never_answers_is_given_up_at_the_deadline() -> None:
    bench = Bench(timeout=SHORT)
    bench.store.hangs = True

    with pytest.raises(Unavailable, match="Qdrant: no answer in time"):
        await bench.search()


@pytest.mark.parametrize("error", [Unavailable("Qdrant", "down"), GlobalFault("Qdrant", "the collection is missing")])
async def test_what_the_store_says_is_told_as_it_is(error: MemstreamError) -> None:
    bench = Bench()
    bench.store.fails = error

    with pytest.raises(type(error), match=str(error)):
        await bench.search()


async def test_a_search_that_is_cancelled_gives_its_permit_back() -> None:
    bench = Bench(at_once=1)
    bench.store.hangs = True
    hanging = asyncio.create_task(bench.search())
    await until(lambda: bench.store.asked > 0, "the store is asked")

    hanging.cancel()
    await asyncio.gather(hanging, return_exceptions=True)
    bench.store.hangs = False

    texts, _ = await bench.search()
    assert texts


async def test_a_search_that_fails_gives_its_permit_back() -> None:
    bench = Bench(at_once=1)
    bench.store.fails = Unavailable("Qdrant", "down")
    for _ in range(3):
        with pytest.raises(Unavailable):
            await bench.search()
    bench.store.fails = None

    texts, _ = await bench.search()
    assert texts


async def test_where_no_more_may_wait_a_search_is_turned_away_and_counted() -> None:
    bench = Bench(at_once=1, waiting=0)
    bench.store.hangs = True
    hanging = asyncio.create_task(bench.search())
    await until(lambda: bench.store.asked > 0, "the store is asked")

    with pytest.raises(Busy):
        await bench.search()

    assert bench.registry.get_sample_value("memstream_retriever_turned_away_total") == 1
    hanging.cancel()
    await asyncio.gather(hanging, return_exceptions=True)


async def test_a_search_that_waits_too_long_for_a_permit_is_turned_away() -> None:
    bench = Bench(timeout=SHORT, at_once=1, waiting=1)
    async with bench.limiter.admitted():
        with pytest.raises(Busy, match="too many requests"):
            await bench.search()


async def test_the_most_patient_search_says_how_long_a_position_is_waited_for() -> None:
    bench = Bench()
    bench.undone = {"0.live.7-0"}
    asked = [
        SearchIn(user_id="ana", query="key", wait_for=["0.live.7-0", "0.live.8-0"], wait_timeout=1),
        SearchIn(user_id="ana", query="key", wait_for=["0.live.7-0"], wait_timeout=3),
    ]

    answers = await bench.searches.search(asked, "acme")

    assert bench.patience == {"0.live.7-0": 3, "0.live.8-0": 1}
    assert [answer.pending for answer in answers] == [["0.live.7-0"], ["0.live.7-0"]]


async def test_a_batch_is_one_question_to_the_store_and_one_call_for_vectors() -> None:
    bench = Bench()
    asked = [SearchIn(user_id="ana", query=f"key {n}") for n in range(3)]

    answers = await bench.searches.search(asked, "acme")

    assert (len(answers), bench.store.asked) == (3, 1)
    assert bench.embedded == ["key 0", "key 1", "key 2"]


async def test_a_context_abstains_where_nothing_is_relevant_enough() -> None:
    context = await Bench().contexts.build(ContextIn(user_id="ana", query="the spare key", token_budget=500), "acme")

    assert (context.abstained, context.context, context.citations) == (True, "", [])


async def test_a_caller_who_asks_for_any_relevance_gets_a_context() -> None:
    question = ContextIn(user_id="ana", query="the spare key", token_budget=500, min_relevance=0)

    context = await Bench().contexts.build(question, "acme")

    assert not context.abstained
    assert "the spare key is under the pot" in context.context


@pytest.mark.parametrize(("space", "calibrated"), [("all-MiniLM-L6-v2_384_t1", True), ("another-model_1536_t1", False)])
async def test_an_answer_says_whether_it_is_known_what_cosines_mean_to_the_model(
    space: str, *, calibrated: bool
) -> None:
    bench = Bench(space=space)

    (answer,) = await bench.searches.search([SearchIn(user_id="ana", query="key")], "acme")
    context = await bench.contexts.build(ContextIn(user_id="ana", query="key", token_budget=9), "acme")

    assert (answer.calibrated, context.calibrated) == (calibrated, calibrated)


async def test_answers_are_calibrated_as_soon_as_it_is_measured_what_cosines_mean() -> None:
    bench = Bench(space="another-model_1536_t1")

    async def embed(texts: Sequence[str]) -> Vectors:
        return np.eye(len(texts), dtype=np.float32)

    await bench.calibration.measure(embed, embed)
    (answer,) = await bench.searches.search([SearchIn(user_id="ana", query="key")], "acme")

    assert answer.calibrated
