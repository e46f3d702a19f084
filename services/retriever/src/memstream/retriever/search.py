"""Answers questions: waits if asked to, embeds, gets candidates in one round trip, ranks, and adds details."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice

from memstream.contracts.searches import SearchIn, SearchOut
from memstream.retriever.admission import ConcurrencyLimiter
from memstream.retriever.asking import QueryEmbedder, Question, read_question
from memstream.retriever.candidates import MAX_CANDIDATES, CandidateFinder, OwnerCandidates, SearchHit, add_details
from memstream.retriever.measured_calibration import MeasuredCalibration
from memstream.retriever.metrics import RetrieverMetrics
from memstream.retriever.ranking import COMPARED, RankedMessage, arrange, rank
from memstream.retriever.reranking import HitReranker
from memstream.runtime.clock import Clock
from memstream.runtime.deadline import Deadline
from memstream.runtime.errors import Busy
from memstream.vectors.store import DEPENDENCY as STORE
from memstream.vectors.store import MemoryStore

WaitForPositions = Callable[[Mapping[str, float]], Awaitable[set[str]]]
"""Waits for positions, each so many seconds at the most, and returns those that are still not searchable."""


@dataclass(frozen=True, slots=True)
class SearchPolicy:
    """What an operator decides about searches."""

    model: str
    """The embedding model's name, for answers."""
    candidates: int
    """How many chunks each score proposes; at least twice the number of hits."""
    timeout: float
    """Seconds for an answer, besides waiting for positions."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a question."""

    hits: Sequence[SearchHit]
    pending: list[str]
    """Positions that were not searchable in time."""
    degraded: bool
    """Whether keywords alone were used, because the query could not be embedded."""
    calibrated: bool
    """Whether it is known what cosines mean in this embedding space."""
    reranked: bool
    """Whether the best hits are in the rerank server's order."""


@dataclass(frozen=True, slots=True)
class _RankedSearch:
    """A search and its messages, sorted by relevance."""

    search: SearchIn
    found: Sequence[OwnerCandidates]
    now: datetime
    question: Question
    min_relevance: float
    messages: Sequence[RankedMessage]
    is_reranked: bool = False


class Searches:
    """Answers searches. Each part is passed in, so that tests can make one late or unavailable."""

    def __init__(  # noqa: PLR0913 - its parts, by name
        self,
        *,
        store: MemoryStore,
        embedder: QueryEmbedder,
        wait_for: WaitForPositions,
        limiter: ConcurrencyLimiter,
        calibration: MeasuredCalibration,
        policy: SearchPolicy,
        clock: Clock,
        metrics: RetrieverMetrics,
        reranker: HitReranker | None = None,
    ) -> None:
        self._store = store
        self._embedder = embedder
        self._wait_for = wait_for
        self._limiter = limiter
        self._calibration = calibration
        self._policy = policy
        self._clock = clock
        self._metrics = metrics
        self._reranker = reranker
        self._finder = CandidateFinder(store, policy.candidates)

    async def search(self, searches: Sequence[SearchIn], tenant: str) -> list[SearchOut]:
        """Return the answers to several questions, each for itself.

        Raises:
            Invalid: a position to wait for is none of this installation's.
            Unavailable, GlobalFault: the store or Redis is out of reach, or the time for an answer is over.
            Busy: too many requests wait already.

        """
        started = self._clock.monotonic()
        return [
            SearchOut(
                hits=[hit.as_answer() for hit in answer.hits],
                degraded=answer.degraded,
                calibrated=answer.calibrated,
                reranked=answer.reranked,
                pending=answer.pending,
                model=self._policy.model,
                took_ms=round((self._clock.monotonic() - started) * 1000, 3),
            )
            for answer in await self.answer(searches, tenant)
        ]

    async def answer(self, searches: Sequence[SearchIn], tenant: str, min_relevance: float = 0.0) -> list[Answer]:
        """Return the answers to several questions; those that name no `min_relevance` get this one.

        Raises:
            Invalid, Unavailable, GlobalFault, Busy: as `search`.

        """
        started = self._clock.monotonic()
        # A search that waits for positions holds no permit meanwhile: there is nothing to do for it.
        pending_positions = await self._wait_for(_wait_timeouts(searches))
        deadline = Deadline(self._clock, self._policy.timeout)
        try:
            async with self._limiter.admitted(deadline):
                answers = await self._answer(searches, tenant, min_relevance, pending_positions, deadline)
        except Busy:
            self._metrics.turned_away.inc()
            raise
        self._metrics.search_seconds.observe(self._clock.monotonic() - started)
        return answers

    async def _answer(
        self,
        searches: Sequence[SearchIn],
        tenant: str,
        min_relevance: float,
        pending_positions: set[str],
        deadline: Deadline,
    ) -> list[Answer]:
        vectors, degraded = await self._embedder.embed(searches, tenant, deadline)
        async with deadline.enforced(STORE):
            with self._metrics.qdrant_seconds.time():
                found = await self._finder.find(searches, tenant, vectors)
        ranked = [
            self._rank(search, each, min_relevance, degraded=degraded)
            for search, each in zip(searches, found, strict=True)
        ]
        if self._reranker is not None:
            ranked = await _reranked(ranked, self._reranker, deadline)
        arranged = [_arranged(one) for one in ranked]
        wanted = [(hit, search.neighbours) for search, hits in zip(searches, arranged, strict=True) for hit in hits]
        async with deadline.enforced(STORE):
            detailed = iter(await add_details(self._store, wanted))
        answers = []
        for one, hits in zip(ranked, arranged, strict=True):
            search = one.search
            current = [hit for hit in islice(detailed, len(hits)) if hit.is_current]
            pending = [position for position in dict.fromkeys(search.wait_for or ()) if position in pending_positions]
            is_degraded = degraded and search.mode != "keyword"
            calibrated = not self._calibration.current.is_default
            answers.append(
                Answer(current, pending, degraded=is_degraded, calibrated=calibrated, reranked=one.is_reranked)
            )
            self._metrics.searches.labels(search.mode, "degraded" if is_degraded else "full").inc()
        return answers

    def _rank(
        self, search: SearchIn, found: Sequence[OwnerCandidates], min_relevance: float, *, degraded: bool
    ) -> _RankedSearch:
        now = search.as_of or self._clock.now()
        question = read_question(search.query, now)
        least = min_relevance if search.min_relevance is None else search.min_relevance
        # All of them if a later one may be preferred; and more than one, since one may update another.
        may_reorder = search.recency is not None or search.diversity > 0
        limit = 2 * MAX_CANDIDATES if may_reorder else max(search.limit, COMPARED)
        if self._reranker is not None:
            limit = max(limit, self._reranker.hits)
        ranked = [
            one
            for owned in found
            for one in rank(
                owned.candidates,
                "keyword" if degraded else search.mode,
                self._calibration.current,
                question=question,
                limit=limit,
                # Reranking hands relevances to other hits: the threshold is applied afterwards.
                min_relevance=least if self._reranker is None else 0.0,
            )
        ]
        if len(found) > 1:
            ranked.sort(key=lambda one: (-one.relevance, one.message.message_id))
        return _RankedSearch(search, found, now, question, least, ranked)


async def _reranked(ranked: Sequence[_RankedSearch], reranker: HitReranker, deadline: Deadline) -> list[_RankedSearch]:
    # A relevance stays at its place in the list: if none is high enough, no order makes it so.
    asked = [
        (one.search.query, one.messages if one.messages and one.messages[0].relevance >= one.min_relevance else ())
        for one in ranked
    ]
    return [
        replace(
            one,
            messages=[message for message in again.messages if message.relevance >= one.min_relevance],
            is_reranked=again.is_reranked,
        )
        for one, again in zip(ranked, await reranker.rerank(asked, deadline), strict=True)
    ]


def _arranged(ranked: _RankedSearch) -> list[SearchHit]:
    search, found = ranked.search, ranked.found
    arranged = arrange(
        ranked.messages,
        recency=search.recency,
        now=ranked.now,
        diversity=search.diversity,
        is_present=ranked.question.wording.is_present,
        is_former=ranked.question.wording.is_former,
        vectors={point: vector for owned in found for point, vector in owned.candidates.vectors.items()},
        limit=search.limit,
    )
    owners = {owned.owner.name: owned.owner for owned in found}
    return [SearchHit(owners[one.message.owner], one) for one in arranged]


def _wait_timeouts(searches: Sequence[SearchIn]) -> dict[str, float]:
    """Return each position that a search waits for, and the longest `wait_timeout` of those searches, in seconds."""
    timeouts: dict[str, float] = {}
    for search in searches:
        for position in search.wait_for or ():
            timeouts[position] = max(timeouts.get(position, 0.0), search.wait_timeout)
    return timeouts
