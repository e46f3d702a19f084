"""Answers questions: waits if asked to, embeds, gets candidates in one round trip, ranks, and adds details."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import islice

from memstream.contracts.searches import SearchIn, SearchOut
from memstream.retriever.admission import ConcurrencyLimiter
from memstream.retriever.asking import QueryEmbedder, Question, Vector, read_question
from memstream.retriever.calculations import Calculations
from memstream.retriever.candidates import MAX_CANDIDATES, CandidateFinder, OwnerCandidates, SearchHit, add_details
from memstream.retriever.measured_calibration import MeasuredCalibration
from memstream.retriever.metrics import RetrieverMetrics
from memstream.retriever.positions import WaitOutcome
from memstream.retriever.quotas import MESSAGES_OF_SEARCH
from memstream.retriever.ranking import COMPARED, MAX_ANALYSED, RankedMessage, arrange, rank
from memstream.retriever.reranking import HitReranker
from memstream.runtime.clock import Clock
from memstream.runtime.deadline import Deadline
from memstream.runtime.errors import Busy, Overloaded
from memstream.streams.positions import Fate
from memstream.vectors.store import DEPENDENCY as STORE
from memstream.vectors.store import MemoryStore, Owner

WaitForPositions = Callable[[Mapping[str, float], str], Awaitable[WaitOutcome]]
"""Waits for a tenant's positions, each so many seconds at the most, and returns what has become of them."""


@dataclass(frozen=True, slots=True)
class SearchPolicy:
    """What an operator decides about searches."""

    model: str
    """The embedding model's name, for answers."""
    candidates: int
    """How many chunks each score proposes; at least twice the number of hits."""
    timeout: float
    """Seconds for an answer, besides waiting for positions."""
    answer_characters: int = 16 * 2**20
    """Of the texts in an answer."""


_SHORT_QUERY = 300
_SHORT_TEXTS = 30_000
_FEW_CANDIDATES = 500
"""What is ranked at once, in characters of the question, of the analysed texts, and in candidates: mostly a few
milliseconds, at most 20. More is ranked beside the event loop."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a question."""

    hits: Sequence[SearchHit]
    pending: list[str]
    """Positions that were not searchable in time."""
    not_stored: Mapping[str, Fate]
    """Positions that will not become searchable, and why."""
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
    owners: Mapping[str, Owner]
    vectors: Mapping[str, Vector]
    """Those of the messages, as far as they are needed to arrange them."""
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
        calculations: Calculations,
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
        self._calculations = calculations
        self._reranker = reranker
        self._finder = CandidateFinder(store, policy.candidates, metrics.qdrant_seconds.time)

    async def search(self, searches: Sequence[SearchIn], tenant: str) -> list[SearchOut]:
        """Return the answers to several questions, each for itself.

        Raises:
            Invalid: a position to wait for is none of this installation's.
            Unavailable, GlobalFault: the store or Redis is out of reach, or the time for an answer is over.
            Busy: too many requests wait already, or there was no turn in time.
            Overloaded: too many of this tenant's do.

        """
        started = self._clock.monotonic()
        answers = await self.answer(searches, tenant)
        messages = sum(len(answer.hits) for answer in answers) + sum(
            search.messages for search in searches if search.neighbours
        )
        made = partial(self._as_answers, answers, started)
        return await self._calculations.run(made, tenant, is_short=messages <= _FEW_CANDIDATES)

    def _as_answers(self, answers: Sequence[Answer], started: float) -> list[SearchOut]:
        return [
            SearchOut(
                hits=[hit.as_answer() for hit in answer.hits],
                degraded=answer.degraded,
                calibrated=answer.calibrated,
                reranked=answer.reranked,
                pending=answer.pending,
                not_stored=dict(answer.not_stored),
                model=self._policy.model,
                took_ms=round((self._clock.monotonic() - started) * 1000, 3),
            )
            for answer in answers
        ]

    async def answer(self, searches: Sequence[SearchIn], tenant: str, min_relevance: float = 0.0) -> list[Answer]:
        """Return the answers to several questions; those that name no `min_relevance` get this one.

        Raises:
            Invalid, Unavailable, GlobalFault, Busy, Overloaded: as `search`.

        """
        started = self._clock.monotonic()
        # A search that waits for positions holds no permit meanwhile: there is nothing to do for it.
        waited = await self._wait_for(_wait_timeouts(searches), tenant)
        deadline = Deadline(self._clock, self._policy.timeout)
        try:
            async with self._limiter.admitted(deadline, tenant=tenant, permits=_permits_of(searches)):
                answers = await self._answer(searches, tenant, min_relevance, waited, deadline)
        except (Busy, Overloaded):
            self._metrics.turned_away.inc()
            raise
        self._metrics.search_seconds.observe(self._clock.monotonic() - started)
        return answers

    async def _answer(
        self,
        searches: Sequence[SearchIn],
        tenant: str,
        min_relevance: float,
        waited: WaitOutcome,
        deadline: Deadline,
    ) -> list[Answer]:
        vectors, degraded = await self._embedder.embed(searches, tenant, deadline)
        reranked, arranged = await self._find(searches, tenant, vectors, min_relevance, degraded, deadline)
        wanted = [(hit, search.neighbours) for search, hits in zip(searches, arranged, strict=True) for hit in hits]
        async with deadline.enforced(STORE):
            detailed = iter(await add_details(self._store, wanted, self._policy.answer_characters))
        answers = []
        for search, is_reranked, hits in zip(searches, reranked, arranged, strict=True):
            current = [hit for hit in islice(detailed, len(hits)) if hit.is_current]
            asked = dict.fromkeys(search.wait_for or ())
            pending = [position for position in asked if position in waited.pending]
            not_stored = {position: waited.not_stored[position] for position in asked if position in waited.not_stored}
            is_degraded = degraded and search.mode != "keyword"
            calibrated = not self._calibration.current.is_default
            answers.append(
                Answer(current, pending, not_stored, degraded=is_degraded, calibrated=calibrated, reranked=is_reranked)
            )
            self._metrics.searches.labels(search.mode, "degraded" if is_degraded else "full").inc()
        return answers

    async def _find(  # noqa: PLR0913, PLR0917 - what a request asks for
        self,
        searches: Sequence[SearchIn],
        tenant: str,
        vectors: Sequence[Vector | None],
        min_relevance: float,
        degraded: bool,  # noqa: FBT001 - passed on
        deadline: Deadline,
    ) -> tuple[list[bool], list[list[SearchHit]]]:
        """Return for each search whether its hits were reranked, and the hits."""
        ranked: dict[int, _RankedSearch] = {}
        arranged: dict[int, list[SearchHit]] = {}

        async def use(number: int, found: list[OwnerCandidates]) -> None:
            def calculate() -> None:
                one = self._rank(searches[number], found, min_relevance, degraded=degraded)
                if self._reranker is None:
                    arranged[number] = _arranged(one)
                else:
                    ranked[number] = one

            is_short = _is_short(searches[number], found)
            await self._calculations.run(calculate, tenant, deadline, is_short=is_short)
            if len(searches) > 1:
                # Short ones, one after another, would be a long one.
                await self._clock.sleep(0)

        await self._finder.find(searches, tenant, vectors, deadline, use)
        reranked = [False] * len(searches)
        if self._reranker is not None:
            in_order = [ranked[number] for number in range(len(searches))]
            for number, one in enumerate(await _reranked(in_order, self._reranker, tenant, deadline)):
                reranked[number] = one.is_reranked
                few = len(one.messages) <= _FEW_CANDIDATES and not one.vectors
                arranged[number] = await self._calculations.run(partial(_arranged, one), tenant, deadline, is_short=few)
        return reranked, [arranged[number] for number in range(len(searches))]

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
        points = {one.point for one in ranked} if search.diversity > 0 else set()
        return _RankedSearch(
            search,
            owners={owned.owner.name: owned.owner for owned in found},
            vectors={
                point: read_vector()
                for owned in found
                for point, read_vector in owned.candidates.vectors.items()
                if point in points
            },
            now=now,
            question=question,
            min_relevance=least,
            messages=ranked,
        )


async def _reranked(
    ranked: Sequence[_RankedSearch], reranker: HitReranker, tenant: str, deadline: Deadline
) -> list[_RankedSearch]:
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
        for one, again in zip(ranked, await reranker.rerank(asked, deadline, tenant), strict=True)
    ]


def _arranged(ranked: _RankedSearch) -> list[SearchHit]:
    search = ranked.search
    arranged = arrange(
        ranked.messages,
        recency=search.recency,
        now=ranked.now,
        diversity=search.diversity,
        is_present=ranked.question.wording.is_present,
        is_former=ranked.question.wording.is_former,
        vectors=ranked.vectors,
        limit=search.limit,
    )
    return [SearchHit(ranked.owners[one.message.owner], one) for one in arranged]


def _permits_of(searches: Sequence[SearchIn]) -> int:
    """Return a permit for each search's worth of messages in the answer."""
    return -(-sum(search.messages for search in searches) // MESSAGES_OF_SEARCH)


def _is_short(search: SearchIn, found: Sequence[OwnerCandidates]) -> bool:
    """Return whether ranking takes a few milliseconds."""
    messages = [message for owned in found for message in owned.candidates.messages.values()]
    if len(search.query) > _SHORT_QUERY or len(messages) > _FEW_CANDIDATES or search.diversity > 0:
        return False
    characters = sum(len(message.text) for message in messages)
    return characters * min(1.0, MAX_ANALYSED / max(1, len(messages))) <= _SHORT_TEXTS


def _wait_timeouts(searches: Sequence[SearchIn]) -> dict[str, float]:
    """Return each position that a search waits for, and the longest `wait_timeout` of those searches, in seconds."""
    timeouts: dict[str, float] = {}
    for search in searches:
        for position in search.wait_for or ():
            timeouts[position] = max(timeouts.get(position, 0.0), search.wait_timeout)
    return timeouts
