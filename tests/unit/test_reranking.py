"""Reranking the hits of searches, by a server that is late, full, wrong or gone: in no time."""

import asyncio
from collections.abc import Callable, Sequence

import pytest
from prometheus_client import CollectorRegistry
from unit.manual_clock import ManualClock
from unit.stored import stored
from waiting import until

from memstream.retriever.admission import ConcurrencyLimiter
from memstream.retriever.metrics import RetrieverMetrics
from memstream.retriever.ranking import RankedMessage
from memstream.retriever.reranking import HitReranker, Outcome, Pause, PausePolicy, Reranked
from memstream.runtime.deadline import Deadline
from memstream.runtime.errors import GlobalFault, Rejected, Throttled, Unavailable

LONG = 60.0
SHORT = 0.02
"""Seconds; for what never comes."""


class Bench:
    """A reranker whose server is a function."""

    def __init__(self, *, timeout: float = LONG, calls: int = 8, hits: int = 20) -> None:
        self.clock = ManualClock()
        self.registry = CollectorRegistry()
        self.asked: list[tuple[str, list[str]]] = []
        self.fails: Exception | None = None
        self.open = asyncio.Event()
        self.open.set()
        self.answer: Callable[[Sequence[str]], list[float]] = lambda texts: [float(len(text)) for text in texts]
        self.reranker = HitReranker(
            self,
            hits=hits,
            timeout=timeout,
            limiter=ConcurrencyLimiter(calls, 100),
            pause=Pause(PausePolicy(failures=3, seconds=5.0)),
            clock=self.clock,
            metrics=RetrieverMetrics(self.registry),
        )

    async def score(self, query: str, texts: Sequence[str]) -> list[float]:
        """See `Reranker`."""
        self.asked.append((query, list(texts)))
        await self.open.wait()
        if self.fails is not None:
            raise self.fails
        return self.answer(texts)

    async def aclose(self) -> None:
        """See `Reranker`."""

    async def rerank(self, *texts: str, query: str = "where", left: float = LONG) -> Reranked:
        """Rerank hits with these texts."""
        (found,) = await self.reranker.rerank([(query, ranked(*texts))], Deadline(self.clock, left))
        return found

    def count(self, outcome: Outcome) -> float:
        """Give how many searches ended so."""
        return self.registry.get_sample_value("memstream_retriever_rerankings_total", {"outcome": outcome}) or 0.0


def ranked(*texts: str) -> list[RankedMessage]:
    """Make hits, the most relevant first."""
    return [RankedMessage(text, stored(text, text), {}, 0.9 - 0.1 * place) for place, text in enumerate(texts)]


def texts_of(found: Reranked) -> list[str]:
    return [one.message.text for one in found.messages]


async def test_hits_are_in_the_order_of_the_servers_scores() -> None:
    bench = Bench()

    found = await bench.rerank("a", "ccc", "bb")

    assert (texts_of(found), found.is_reranked, bench.count("reranked")) == (["ccc", "bb", "a"], True, 1)


async def test_texts_are_sent_with_day_and_speaker_as_they_were_embedded() -> None:
    bench = Bench()
    hits = [
        RankedMessage("1", stored("1", "At the gym.", speaker="Ana"), {}, 0.9),
        RankedMessage("2", stored("2", "Noted.", role="assistant"), {}, 0.8),
    ]

    await bench.reranker.rerank([("Where?", hits)], Deadline(bench.clock, LONG))

    assert bench.asked == [("Where?", ["2 March 2026, Ana: At the gym.", "2 March 2026, assistant: Noted."])]


async def test_only_the_best_hits_are_sent() -> None:
    bench = Bench(hits=2)

    found = await bench.rerank("a", "bb", "ccc")

    assert (texts_of(found), len(bench.asked[0][1])) == (["bb", "a", "ccc"], 2)


@pytest.mark.parametrize("texts", [(), ("a",)])
async def test_what_has_no_order_is_not_asked_about(texts: tuple[str, ...]) -> None:
    bench = Bench()

    found = await bench.rerank(*texts)

    assert (texts_of(found), found.is_reranked, bench.asked) == (list(texts), False, [])


async def test_a_long_question_is_sent_in_part() -> None:
    bench = Bench()

    await bench.rerank("a", "b", query="x" * 100_000)

    assert len(bench.asked[0][0]) == 8_000


async def test_the_searches_of_a_request_are_asked_about_at_once() -> None:
    bench = Bench()
    bench.open.clear()
    asked = [(f"q{number}", ranked("a", "bb")) for number in range(5)]

    reranking = asyncio.create_task(bench.reranker.rerank(asked, Deadline(bench.clock, LONG)))
    await until(lambda: len(bench.asked) == 5, "all are asked about")
    bench.open.set()

    assert [texts_of(one) for one in await reranking] == [["bb", "a"]] * 5


@pytest.mark.parametrize(("allowed", "left"), [(SHORT, LONG), (LONG, SHORT)])
async def test_a_server_that_is_late_is_not_waited_for(allowed: float, left: float) -> None:
    bench = Bench(timeout=allowed)
    bench.open.clear()

    found = await bench.rerank("a", "bb", left=left)

    assert (texts_of(found), found.is_reranked, bench.count("late")) == (["a", "bb"], False, 1)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (Unavailable("the rerank server", "down"), "unavailable"),
        (Throttled("the rerank server", "too many"), "throttled"),
        (GlobalFault("the rerank server", "no key"), "refused"),
        (Rejected("odd text"), "refused"),
    ],
)
async def test_a_server_that_fails_leaves_the_order_as_it_is(error: Exception, outcome: Outcome) -> None:
    bench = Bench()
    bench.fails = error

    found = await bench.rerank("a", "bb")

    assert (texts_of(found), found.is_reranked, bench.count(outcome)) == (["a", "bb"], False, 1)


async def test_a_server_that_keeps_failing_is_left_alone_and_then_tried_once() -> None:
    bench = Bench()
    bench.fails = Unavailable("the rerank server", "down")
    for _ in range(5):
        await bench.rerank("a", "bb")
    assert (len(bench.asked), bench.count("unavailable"), bench.count("paused")) == (3, 3, 2)

    bench.clock.advance(5.0)
    bench.fails = None
    found = [await bench.rerank("a", "bb") for _ in range(2)]

    assert [one.is_reranked for one in found] == [True, True]


async def test_a_late_server_counts_as_failing() -> None:
    bench = Bench(timeout=SHORT)
    bench.open.clear()

    for _ in range(4):
        await bench.rerank("a", "bb")

    assert (bench.count("late"), bench.count("paused")) == (3, 1)


async def test_a_wrong_key_is_not_tried_again_at_once() -> None:
    bench = Bench()
    bench.fails = GlobalFault("the rerank server", "HTTP 401")

    for _ in range(2):
        await bench.rerank("a", "bb")

    assert (bench.count("refused"), bench.count("paused")) == (1, 1)


async def test_a_server_that_asks_for_a_pause_gets_it() -> None:
    bench = Bench()
    bench.fails = Throttled("the rerank server", "too many", retry_after=20.0)
    await bench.rerank("a", "bb")
    bench.fails = None

    bench.clock.advance(19.0)
    early = await bench.rerank("a", "bb")
    bench.clock.advance(1.0)
    then = await bench.rerank("a", "bb")

    assert (early.is_reranked, then.is_reranked) == (False, True)


async def test_texts_that_are_refused_do_not_end_reranking_for_others() -> None:
    bench = Bench()
    bench.fails = Rejected("odd text")
    for _ in range(10):
        await bench.rerank("a", "bb")
    bench.fails = None

    assert (await bench.rerank("a", "bb")).is_reranked


async def test_a_search_that_gets_no_call_in_time_keeps_its_order_and_says_nothing_against_the_server() -> None:
    bench = Bench(timeout=SHORT, calls=1)
    bench.open.clear()
    held = [asyncio.create_task(bench.rerank("a", "bb")) for _ in range(6)]

    found = await asyncio.gather(*held)

    assert [one.is_reranked for one in found] == [False] * 6
    assert (bench.count("late"), bench.count("busy")) == (1, 5)
    bench.open.set()
    assert (await bench.rerank("a", "bb")).is_reranked


async def test_those_that_waited_while_others_failed_do_not_ask() -> None:
    bench = Bench(calls=1)
    bench.open.clear()
    bench.fails = Unavailable("the rerank server", "down")
    waiting = [asyncio.create_task(bench.rerank("a", "bb")) for _ in range(6)]
    await until(lambda: bench.asked, "one is asked about")

    bench.open.set()
    await asyncio.gather(*waiting)

    assert (bench.count("unavailable"), bench.count("paused"), len(bench.asked)) == (3, 3, 3)


async def test_a_caller_who_goes_away_leaves_the_call_to_others() -> None:
    bench = Bench(calls=1)
    bench.open.clear()
    gone = asyncio.create_task(bench.rerank("a", "bb"))
    await until(lambda: bench.asked, "it is asked about")

    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    bench.open.set()

    assert (await bench.rerank("a", "bb")).is_reranked
    assert bench.count("late") == 0
