"""Answers questions: waits if asked to, embeds, gets candidates in one round trip, ranks, and fills the hits in."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from memstream.contracts import ids
from memstream.contracts.keys import Position
from memstream.contracts.searches import ContextIn, ContextOut, SearchIn, SearchOut, SimilarityOut
from memstream.retriever.conditions import conditions_of
from memstream.retriever.context import Beside, assemble
from memstream.retriever.details import fill_in
from memstream.retriever.findings import Finding
from memstream.retriever.metrics import RetrieverMetrics
from memstream.retriever.preferences import arrange
from memstream.retriever.ranking import rank
from memstream.retriever.relevance import Calibration
from memstream.retriever.waiting import Waiting
from memstream.runtime.clock import Clock
from memstream.runtime.errors import GlobalFault, Rejected, Unavailable
from memstream.vectors.collection import Candidates, Collection, Question
from memstream.vectors.embeddings import Vectors
from memstream.vectors.metered import MeteredEmbeddings

_log = logging.getLogger(__name__)

_QUERY_BYTES = 8_000
"""A question is embedded up to here: a model takes 8,192 tokens, and a token is a byte at the least."""

_PATIENCE = 1.0
"""Seconds that a question waits for its share of the provider's limits, before it is answered by keywords alone."""

_CANDIDATES_PER_HIT = 2
_MOST_CANDIDATES = 2_000


@dataclass(frozen=True, slots=True)
class _Found:
    """What was found for a question."""

    findings: Sequence[Finding]
    pending: list[str]
    degraded: bool


class Searching:
    """The retriever's service."""

    def __init__(  # noqa: PLR0913 - what it needs, by name
        self,
        *,
        collection: Collection,
        embeddings: MeteredEmbeddings,
        calibration: Calibration,
        waiting: Waiting,
        clock: Clock,
        metrics: RetrieverMetrics,
        model: str,
        candidates: int,
        abstain_below: float,
        counters: Mapping[str, Callable[[str], int]],
    ) -> None:
        self._collection = collection
        self._embeddings = embeddings
        self._calibration = calibration
        self._waiting = waiting
        self._clock = clock
        self._metrics = metrics
        self._model = model
        self._candidates = candidates
        self._abstain_below = abstain_below
        self._counters = counters

    async def search(self, searches: Sequence[SearchIn], tenant: str) -> list[SearchOut]:
        """Answer several questions, each for itself, in one go.

        Raises:
            Invalid: a position to wait for is none of ours.
            Unavailable, GlobalFault: Qdrant or Redis is out of reach.

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
            Unavailable, GlobalFault: Qdrant or Redis is out of reach.

        """
        started = self._clock.monotonic()
        (found,) = await self._find([question], tenant, self._abstain_below)
        around = [[Beside(turn) for turn in (*finding.before, *finding.after)] for finding in found.findings]
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

    async def _find(self, searches: Sequence[SearchIn], tenant: str, least: float) -> list[_Found]:
        """Wait, embed, get candidates and rank, all in one go; `least` is the default of min_relevance."""
        started = self._clock.monotonic()
        undone = await self._wait(searches)
        vectors, degraded = await self._embed(searches)
        asked = [
            _question(search, tenant, vector, max(self._candidates, _CANDIDATES_PER_HIT * search.limit))
            for search, vector in zip(searches, vectors, strict=True)
        ]
        with self._metrics.qdrant_seconds.time():
            candidates = await self._ask(searches, asked)
        ranked = [
            self._rank(search, tenant, proposed, least, degraded=degraded)
            for search, proposed in zip(searches, candidates, strict=True)
        ]
        wanted = [(one, search.neighbours) for search, found in zip(searches, ranked, strict=True) for one in found]
        filled = iter(await fill_in(self._collection, wanted))
        answers = []
        for search, found in zip(searches, ranked, strict=True):
            current = [finding for finding in islice(filled, len(found)) if finding.is_current]
            waits = [position for position in dict.fromkeys(search.wait_for or ()) if position in undone]
            answers.append(_Found(current, waits, degraded=degraded and search.mode != "keyword"))
            self._metrics.searches.labels(search.mode, "degraded" if answers[-1].degraded else "full").inc()
        self._metrics.search_seconds.observe(self._clock.monotonic() - started)
        return answers

    def _rank(
        self, search: SearchIn, tenant: str, proposed: Candidates, least: float, *, degraded: bool
    ) -> list[Finding]:
        ranked = rank(
            proposed,
            "keyword" if degraded else search.mode,
            self._calibration,
            # Who comes next may be preferred.
            limit=2 * _MOST_CANDIDATES,
            min_relevance=least if search.min_relevance is None else search.min_relevance,
            filtered=search.filter is not None,
        )
        return arrange(
            [Finding(tenant, search.user_id, one) for one in ranked],
            recency=search.recency,
            now=search.as_of or self._clock.now(),
            diversity=search.diversity,
            vectors=_vectors(proposed),
            limit=search.limit,
        )

    def _took(self, started: float) -> float:
        return round((self._clock.monotonic() - started) * 1000, 3)

    async def _ask(self, searches: Sequence[SearchIn], asked: Sequence[Question]) -> list[Candidates]:
        """Get candidates; once more, and more of them, for questions where a few long messages took all places."""
        found = await self._collection.ask(asked)
        short = [
            place
            for place, (search, question) in enumerate(zip(searches, asked, strict=True))
            if question.candidates < _MOST_CANDIDATES and _is_short(found[place], search.limit, question.candidates)
        ]
        if short:
            more = [replace(asked[place], candidates=_MOST_CANDIDATES) for place in short]
            for place, again in zip(short, await self._collection.ask(more), strict=True):
                found[place] = again
        return found

    async def _wait(self, searches: Sequence[SearchIn]) -> set[str]:
        """Wait for all positions at once, each for as long as the most patient search does; give those not done."""
        patience: dict[Position, float] = {}
        for search in searches:
            for position in self._waiting.parse(search.wait_for or ()):
                patience[position] = max(patience.get(position, 0.0), search.wait_timeout)
        return {str(position) for position in await self._waiting.wait(patience)}

    async def _embed(self, searches: Sequence[SearchIn]) -> tuple[Sequence[Sequence[float] | None], bool]:
        """Give a vector for each question that needs one, and whether they had to be done without."""
        texts = [_shortened(search.query) for search in searches if search.mode != "keyword"]
        if not texts:
            return [None] * len(searches), False
        try:
            with self._metrics.embed_seconds.time():
                rows = iter((await self._embeddings.embed(texts, "query", patience=_PATIENCE)).tolist())
        except (Unavailable, GlobalFault, Rejected) as error:
            _log.warning("answering by keywords alone: %s", error)
            return [None] * len(searches), True
        return [None if search.mode == "keyword" else next(rows) for search in searches], False

    async def similarity(self, texts: Sequence[str]) -> SimilarityOut:
        """Compare texts with each other.

        Raises:
            Unavailable, GlobalFault, Rejected: they can't be embedded.

        """
        vectors = await self._embeddings.embed([_shortened(text) for text in texts], "query", patience=_PATIENCE)
        return SimilarityOut(model=self._model, similarity=cosines(vectors).tolist())


def cosines(vectors: Vectors) -> Vectors:
    """Give the cosine of every pair of rows, in -1..1; 0 with a row of zeros."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
    product: Vectors = unit @ unit.T
    return np.clip(product, -1.0, 1.0)


def _is_short(found: Candidates, limit: int, asked: int) -> bool:
    """Say whether a signal had more to give than was asked for, and that came from fewer messages than are wanted."""
    signals = [signal for signal in (found.dense, found.keyword) if signal is not None]
    messages = {point.payload.get("message_id") for signal in signals for point in signal if point.payload}
    return len(messages) < limit and any(len(signal) >= asked for signal in signals)


def _question(search: SearchIn, tenant: str, vector: Sequence[float] | None, candidates: int) -> Question:
    return Question(
        owner=ids.owner(tenant, search.user_id),
        vector=vector,
        # Without a vector, keywords have to do.
        text=None if search.mode == "dense" and vector is not None else search.query,
        conditions=conditions_of(search.filter),
        candidates=candidates,
        vectors=search.diversity > 0,
    )


def _vectors(candidates: Candidates) -> dict[str, Sequence[float]]:
    points = [*(candidates.dense or ()), *(candidates.keyword or ())]
    return {point.id: point.vector for point in points if point.vector is not None}


def _shortened(text: str) -> str:
    data = text.encode()
    return text if len(data) <= _QUERY_BYTES else data[:_QUERY_BYTES].decode(errors="ignore")
