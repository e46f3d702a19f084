"""Answers questions: waits if asked to, embeds, gets candidates in one round trip, ranks, and adds details."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from memstream.contracts.searches import SearchIn, SearchOut
from memstream.retriever.admission import ConcurrencyLimiter
from memstream.retriever.asking import QueryEmbedder, read_question
from memstream.retriever.candidates import MAX_CANDIDATES, CandidateFinder, OwnerCandidates, SearchHit, add_details
from memstream.retriever.metrics import RetrieverMetrics
from memstream.retriever.ranking import COMPARED, Calibration, arrange, rank
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
    """Whether relevances were fitted to this embedding space."""


class Searches:
    """Answers searches. Each part is passed in, so that tests can make one late or unavailable."""

    def __init__(  # noqa: PLR0913 - its parts, by name
        self,
        *,
        store: MemoryStore,
        embedder: QueryEmbedder,
        wait_for: WaitForPositions,
        limiter: ConcurrencyLimiter,
        calibration: Calibration,
        policy: SearchPolicy,
        clock: Clock,
        metrics: RetrieverMetrics,
    ) -> None:
        self._store = store
        self._embedder = embedder
        self._wait_for = wait_for
        self._limiter = limiter
        self._calibration = calibration
        self._policy = policy
        self._clock = clock
        self._metrics = metrics
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
            wanted = [(hit, search.neighbours) for search, hits in zip(searches, ranked, strict=True) for hit in hits]
            detailed = iter(await add_details(self._store, wanted))
        answers = []
        for search, hits in zip(searches, ranked, strict=True):
            current = [hit for hit in islice(detailed, len(hits)) if hit.is_current]
            pending = [position for position in dict.fromkeys(search.wait_for or ()) if position in pending_positions]
            is_degraded = degraded and search.mode != "keyword"
            answers.append(Answer(current, pending, degraded=is_degraded, calibrated=not self._calibration.is_default))
            self._metrics.searches.labels(search.mode, "degraded" if is_degraded else "full").inc()
        return answers

    def _rank(
        self, search: SearchIn, found: Sequence[OwnerCandidates], min_relevance: float, *, degraded: bool
    ) -> list[SearchHit]:
        now = search.as_of or self._clock.now()
        question = read_question(search.query, now)
        # All of them if a later one may be preferred; and more than one, since one may update another.
        may_reorder = search.recency is not None or search.diversity > 0
        ranked = [
            one
            for owned in found
            for one in rank(
                owned.candidates,
                "keyword" if degraded else search.mode,
                self._calibration,
                question=question,
                limit=2 * MAX_CANDIDATES if may_reorder else max(search.limit, COMPARED),
                min_relevance=min_relevance if search.min_relevance is None else search.min_relevance,
                filtered=search.filter is not None,
            )
        ]
        if len(found) > 1:
            ranked.sort(key=lambda one: (-one.relevance, one.message.message_id))
        arranged = arrange(
            ranked,
            recency=search.recency,
            now=now,
            diversity=search.diversity,
            is_present=question.wording.is_present,
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
