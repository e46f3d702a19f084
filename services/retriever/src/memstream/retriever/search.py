"""Answers questions: waits if asked to, embeds, gets candidates in one round trip, ranks, and adds details."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from memstream.contracts.searches import SearchIn, SearchOut
from memstream.retriever.admission import ConcurrencyLimiter
from memstream.retriever.asking import QueryEmbedder, read_question
from memstream.retriever.candidates import MOST, Proposal, Proposals, SearchHit, add_details
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
    """Whether keywords had to do, for want of the embeddings provider."""


class Searches:
    """Answers searches. Each part is passed in, so that what happens when one is late or down can be tried."""

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
        self._proposals = Proposals(store, policy.candidates)

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
        undone = await self._wait_for(_patience(searches))
        deadline = Deadline(self._clock, self._policy.timeout)
        try:
            async with self._limiter.admitted(deadline):
                answers = await self._answer(searches, tenant, min_relevance, undone, deadline)
        except Busy:
            self._metrics.turned_away.inc()
            raise
        self._metrics.search_seconds.observe(self._clock.monotonic() - started)
        return answers

    async def _answer(
        self, searches: Sequence[SearchIn], tenant: str, min_relevance: float, undone: set[str], deadline: Deadline
    ) -> list[Answer]:
        vectors, degraded = await self._embedder.embed(searches, tenant, deadline)
        async with deadline.enforced(STORE):
            with self._metrics.qdrant_seconds.time():
                proposals = await self._proposals.gather(searches, tenant, vectors)
            ranked = [
                self._rank(search, proposed, min_relevance, degraded=degraded)
                for search, proposed in zip(searches, proposals, strict=True)
            ]
            wanted = [(one, search.neighbours) for search, found in zip(searches, ranked, strict=True) for one in found]
            detailed = iter(await add_details(self._store, wanted))
        answers = []
        for search, found in zip(searches, ranked, strict=True):
            current = [one for one in islice(detailed, len(found)) if one.is_current]
            pending = [position for position in dict.fromkeys(search.wait_for or ()) if position in undone]
            answers.append(Answer(current, pending, degraded=degraded and search.mode != "keyword"))
            self._metrics.searches.labels(search.mode, "degraded" if answers[-1].degraded else "full").inc()
        return answers

    def _rank(
        self, search: SearchIn, proposals: Sequence[Proposal], min_relevance: float, *, degraded: bool
    ) -> list[SearchHit]:
        now = search.as_of or self._clock.now()
        question = read_question(search.query, now)
        ranked = [
            one
            for proposal in proposals
            for one in rank(
                proposal.candidates,
                "keyword" if degraded else search.mode,
                self._calibration,
                question=question,
                # All of them if a later one may be preferred; and more than one, since one may update another.
                limit=max(search.limit, COMPARED) if search.recency is None and search.diversity == 0 else 2 * MOST,
                min_relevance=min_relevance if search.min_relevance is None else search.min_relevance,
                filtered=search.filter is not None,
            )
        ]
        if len(proposals) > 1:
            ranked.sort(key=lambda one: (-one.relevance, one.message.message_id))
        arranged = arrange(
            ranked,
            recency=search.recency,
            now=now,
            diversity=search.diversity,
            is_present=question.wording.is_present,
            vectors={point: vector for proposal in proposals for point, vector in proposal.candidates.vectors.items()},
            limit=search.limit,
        )
        owners = {proposal.owner.name: proposal.owner for proposal in proposals}
        return [SearchHit(owners[one.message.owner], one) for one in arranged]


def _patience(searches: Sequence[SearchIn]) -> dict[str, float]:
    """Return each position that a search waits for, and for how long the most patient of them does; seconds."""
    patience: dict[str, float] = {}
    for search in searches:
        for position in search.wait_for or ():
            patience[position] = max(patience.get(position, 0.0), search.wait_timeout)
    return patience
