"""Answers questions: waits if asked to, embeds, gets candidates in one round trip, ranks, and fills the hits in."""

import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from memstream.contracts.keys import Position
from memstream.contracts.searches import ContextIn, ContextOut, SearchIn, SearchOut, SimilarityOut
from memstream.retriever.admission import Turnstile
from memstream.retriever.asking.known_speakers import KnownSpeakers
from memstream.retriever.asking.query_vectors import Embed, QueryVectors, Vector
from memstream.retriever.asking.questions import read_question
from memstream.retriever.asking.speakers import may_name, unnamed
from memstream.retriever.candidates.details import add_details
from memstream.retriever.candidates.hits import Found
from memstream.retriever.candidates.proposals import MOST, Proposal, Proposals
from memstream.retriever.context.assembly import Beside, assemble
from memstream.retriever.metrics import RetrieverMetrics
from memstream.retriever.ranking.preferences import arrange
from memstream.retriever.ranking.ranking import rank
from memstream.retriever.ranking.relevance import Calibration
from memstream.retriever.ranking.updates import AMONG
from memstream.retriever.waiting import Waiting
from memstream.runtime.clock import Clock
from memstream.runtime.deadline import Deadline
from memstream.runtime.errors import Busy, GlobalFault, Rejected, Unavailable
from memstream.vectors.embeddings import DEPENDENCY as EMBEDDINGS
from memstream.vectors.space import Vectors
from memstream.vectors.store import DEPENDENCY as STORE
from memstream.vectors.store import MemoryStore, owner_of

_log = logging.getLogger(__name__)

_QUERY_BYTES = 8_000
"""A question is embedded up to here: a model takes 8,192 tokens, and a token is a byte at the least."""

_FOR_EMBEDDING = 0.5
"""Share of the time for an answer that embedding its question may take: keywords need the rest."""


@dataclass(frozen=True, slots=True)
class _Answered:
    """What was found for a question."""

    findings: Sequence[Found]
    pending: list[str]
    degraded: bool


class Searching:
    """The retriever's service."""

    def __init__(  # noqa: PLR0913 - what it needs, by name
        self,
        *,
        store: MemoryStore,
        queries: QueryVectors,
        compare: Embed,
        calibration: Calibration,
        waiting: Waiting,
        held: Turnstile,
        turnstile: Turnstile,
        timeout: float,
        clock: Clock,
        metrics: RetrieverMetrics,
        model: str,
        candidates: int,
        abstain_below: float,
        counters: Mapping[str, Callable[[str], int]],
    ) -> None:
        self._store = store
        self._queries = queries
        self._compare = compare
        self._calibration = calibration
        self._waiting = waiting
        self._held = held
        self._turnstile = turnstile
        self._timeout = timeout
        self._clock = clock
        self._metrics = metrics
        self._model = model
        self._proposals = Proposals(store, candidates)
        self._abstain_below = abstain_below
        self._counters = counters
        self._speakers = KnownSpeakers(store.speakers, clock)

    async def search(self, searches: Sequence[SearchIn], tenant: str) -> list[SearchOut]:
        """Answer several questions, each for itself, in one go.

        Raises:
            Invalid: a position to wait for is none of ours.
            Unavailable, GlobalFault: Qdrant or Redis is out of reach, or the time for an answer is over.
            Busy: too many wait already.

        """
        started = self._clock.monotonic()
        return [
            SearchOut(
                hits=[finding.hit() for finding in found.findings],
                degraded=found.degraded,
                pending=found.pending,
                model=self._model,
                took_ms=self._took(started),
            )
            for found in await self._find(searches, tenant, 0.0)
        ]

    async def context(self, question: ContextIn, tenant: str) -> ContextOut:
        """Answer with a text for a prompt; abstain when nothing is relevant enough.

        Raises:
            Invalid: a position to wait for is none of ours.
            Unavailable, GlobalFault: Qdrant or Redis is out of reach, or the time for an answer is over.
            Busy: too many wait already.

        """
        started = self._clock.monotonic()
        (found,) = await self._find([question], tenant, self._abstain_below)
        around = [
            [Beside(turn) for turn in (*finding.turns.before, *finding.turns.after)] for finding in found.findings
        ]
        assembled = assemble(found.findings, question.token_budget, self._counters[question.encoding], around)
        return ContextOut(
            context=assembled.context,
            tokens=assembled.tokens,
            citations=assembled.citations,
            abstained=not found.findings,
            degraded=found.degraded,
            pending=found.pending,
            model=self._model,
            took_ms=self._took(started),
        )

    async def _find(self, searches: Sequence[SearchIn], tenant: str, least: float) -> list[_Answered]:
        """Wait, embed, get candidates and rank, all in one go; `least` is the default of min_relevance."""
        started = self._clock.monotonic()
        # Who waits for positions holds no place: there is nothing to do for it.
        undone = await self._wait(searches)
        deadline = Deadline(self._clock, self._timeout)
        async with self._place(deadline):
            found = await self._answer(searches, tenant, least, undone, deadline)
        self._metrics.search_seconds.observe(self._clock.monotonic() - started)
        return found

    @contextlib.asynccontextmanager
    async def _place(self, deadline: Deadline) -> AsyncIterator[None]:
        """Hold a place among those who are worked for."""
        await self._enter(deadline)
        try:
            yield
        finally:
            self._turnstile.leave()

    async def _enter(self, deadline: Deadline) -> None:
        if not self._turnstile.is_full:
            await self._turnstile.enter()
            return
        try:
            async with deadline.enforced("the retriever"):
                await self._turnstile.enter()
        except Unavailable as error:
            self._metrics.turned_away.inc()
            raise Busy("the retriever", "too many questions are asked at once", error.retry_after) from error

    async def _answer(
        self, searches: Sequence[SearchIn], tenant: str, least: float, undone: set[str], deadline: Deadline
    ) -> list[_Answered]:
        vectors, degraded = await self._embed(searches, tenant, deadline)
        async with deadline.enforced(STORE):
            with self._metrics.qdrant_seconds.time():
                proposals = await self._proposals.gather(searches, tenant, vectors)
            ranked = [
                self._rank(search, proposed, least, degraded=degraded)
                for search, proposed in zip(searches, proposals, strict=True)
            ]
            wanted = [(one, search.neighbours) for search, found in zip(searches, ranked, strict=True) for one in found]
            filled = iter(await add_details(self._store, wanted))
        answers = []
        for search, found in zip(searches, ranked, strict=True):
            current = [finding for finding in islice(filled, len(found)) if finding.is_current]
            waits = [position for position in dict.fromkeys(search.wait_for or ()) if position in undone]
            answers.append(_Answered(current, waits, degraded=degraded and search.mode != "keyword"))
            self._metrics.searches.labels(search.mode, "degraded" if answers[-1].degraded else "full").inc()
        return answers

    def _rank(self, search: SearchIn, proposals: Sequence[Proposal], least: float, *, degraded: bool) -> list[Found]:
        now = search.as_of or self._clock.now()
        asked = read_question(search.query, now)
        findings = [
            Found(proposal.owner, one)
            for proposal in proposals
            for one in rank(
                proposal.candidates,
                "keyword" if degraded else search.mode,
                self._calibration,
                asked=asked,
                # All of them if who comes later may be preferred; and some more than one, if one may update another.
                limit=max(search.limit, AMONG) if search.recency is None and search.diversity == 0 else 2 * MOST,
                min_relevance=least if search.min_relevance is None else search.min_relevance,
                filtered=search.filter is not None,
            )
        ]
        if len(proposals) > 1:
            findings.sort(key=lambda one: (-one.ranked.relevance, one.message.message_id))
        return arrange(
            findings,
            recency=search.recency,
            now=now,
            diversity=search.diversity,
            present=asked.wording.present,
            vectors={point: vector for proposal in proposals for point, vector in proposal.candidates.vectors.items()},
            limit=search.limit,
        )

    def _took(self, started: float) -> float:
        return round((self._clock.monotonic() - started) * 1000, 3)

    async def _wait(self, searches: Sequence[SearchIn]) -> set[str]:
        """Wait for all positions at once, each for as long as the most patient search does; give those not done."""
        if not any(search.wait_for for search in searches):
            return set()
        patience: dict[Position, float] = {}
        for search in searches:
            for position in self._waiting.parse(search.wait_for or ()):
                patience[position] = max(patience.get(position, 0.0), search.wait_timeout)
        async with self._held.passed():
            return {str(position) for position in await self._waiting.wait(patience)}

    async def _embed(
        self, searches: Sequence[SearchIn], tenant: str, deadline: Deadline
    ) -> tuple[Sequence[Vector | None], bool]:
        """Give a vector for each question that needs one, and whether they had to be done without."""
        texts = await self._texts([search for search in searches if search.mode != "keyword"], tenant, deadline)
        if not texts:
            return [None] * len(searches), False
        try:
            with self._metrics.embed_seconds.time():
                async with deadline.part(_FOR_EMBEDDING).enforced(EMBEDDINGS):
                    rows = iter(await self._queries.get(texts))
        except (Unavailable, GlobalFault, Rejected) as error:
            _log.warning("answering by keywords alone: %s", error)
            return [None] * len(searches), True
        return [None if search.mode == "keyword" else next(rows) for search in searches], False

    async def _texts(self, searches: Sequence[SearchIn], tenant: str, deadline: Deadline) -> list[str]:
        """Give the texts to embed: each question, without the names of its user's speakers."""
        texts = [_shortened(search.query) for search in searches]
        owners = [
            owner_of(tenant, search.user_id) if may_name(text) else None
            for search, text in zip(searches, texts, strict=True)
        ]
        if not any(owners):
            return texts
        async with deadline.enforced(STORE):
            speakers = await self._speakers.of({owner for owner in owners if owner is not None})
        return [
            text if owner is None else unnamed(text, speakers[owner]) for text, owner in zip(texts, owners, strict=True)
        ]

    async def similarity(self, texts: Sequence[str]) -> SimilarityOut:
        """Compare texts with each other. They are not remembered as questions are: few are compared twice.

        Raises:
            Unavailable, GlobalFault, Rejected: they can't be embedded, or not in time.
            Busy: too many wait already.

        """
        deadline = Deadline(self._clock, self._timeout)
        async with self._place(deadline), deadline.enforced(EMBEDDINGS):
            vectors = await self._compare([_shortened(text) for text in texts])
        return SimilarityOut(model=self._model, similarity=cosines(vectors).tolist())


def cosines(vectors: Vectors) -> Vectors:
    """Give the cosine of every pair of rows, in -1..1; 0 with a row of zeros."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
    product: Vectors = unit @ unit.T
    return np.clip(product, -1.0, 1.0)


def _shortened(text: str) -> str:
    data = text.encode()
    return text if len(data) <= _QUERY_BYTES else data[:_QUERY_BYTES].decode(errors="ignore")
