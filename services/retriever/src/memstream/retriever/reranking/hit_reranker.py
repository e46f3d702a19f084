"""Reranks the hits of searches, or leaves them as they are: a rerank server never makes a search fail or late."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from memstream.retriever.admission import ConcurrencyLimiter
from memstream.retriever.asking import shortened
from memstream.retriever.metrics import RetrieverMetrics
from memstream.retriever.ranking import RankedMessage
from memstream.retriever.reranking.order import reordered
from memstream.retriever.reranking.pauses import Pause
from memstream.retriever.reranking.reranker import DEPENDENCY, Reranker
from memstream.runtime.clock import Clock
from memstream.runtime.deadline import Deadline
from memstream.runtime.errors import Busy, GlobalFault, Overloaded, Rejected, Throttled, Unavailable
from memstream.vectors.space import render

_log = logging.getLogger(__name__)

_SHARE_FOR_RERANKING = 0.5
"""Share of the time that is left for an answer that reranking may take: the details of the hits need the rest."""

_SHARE_FOR_WAITING = 0.5
"""Share of that time that a search may wait for a permit: a call that had no time to be answered says nothing about the
server."""

_FEWEST = 2
"""Hits that have an order."""

Outcome = Literal["reranked", "late", "busy", "paused", "throttled", "unavailable", "refused"]
"""What became of the hits of a search: `busy` means that all permitted calls were in use, `paused` that the server was
not asked because it had failed before, and `refused` that it does not accept the request, the key or the model."""


@dataclass(frozen=True, slots=True)
class Reranked:
    """The hits of a search."""

    messages: Sequence[RankedMessage]
    is_reranked: bool
    """Whether the first of them are in the rerank server's order."""


class HitReranker:
    """Puts the best hits of searches into the order of a `Reranker`."""

    def __init__(  # noqa: PLR0913 - its parts, by name
        self,
        reranker: Reranker,
        *,
        hits: int,
        timeout: float,
        limiter: ConcurrencyLimiter,
        pause: Pause,
        clock: Clock,
        metrics: RetrieverMetrics,
    ) -> None:
        """Take the parts. The best `hits` are reranked; that takes at most `timeout` seconds."""
        self.hits = hits
        self._reranker = reranker
        self._timeout = timeout
        self._limiter = limiter
        self._pause = pause
        self._clock = clock
        self._metrics = metrics

    async def rerank(
        self, asked: Sequence[tuple[str, Sequence[RankedMessage]]], deadline: Deadline, tenant: str = ""
    ) -> list[Reranked]:
        """Return the hits of several searches, each given with its question and sorted by relevance, in new order.

        All are asked for at once. Hits that could not be reranked in time keep their order.
        """
        own = Deadline(self._clock, min(self._timeout, _SHARE_FOR_RERANKING * deadline.left()))
        return await asyncio.gather(*(self._rerank(query, ranked, own, tenant) for query, ranked in asked))

    async def _rerank(self, query: str, ranked: Sequence[RankedMessage], deadline: Deadline, tenant: str) -> Reranked:
        best = ranked[: self.hits]
        if len(best) < _FEWEST:
            return Reranked(ranked, is_reranked=False)
        texts = [
            render(
                one.message.text,
                speaker=one.message.speaker,
                role=one.message.role,
                occurred_at=one.message.occurred_at,
            )
            for one in best
        ]
        scores, outcome = await self._scores(shortened(query), texts, deadline, tenant)
        self._metrics.rerankings.labels(outcome).inc()
        if scores is None:
            return Reranked(ranked, is_reranked=False)
        return Reranked(reordered(ranked, scores), is_reranked=True)

    async def _scores(
        self, query: str, texts: Sequence[str], deadline: Deadline, tenant: str
    ) -> tuple[Sequence[float] | None, Outcome]:
        if self._pause.is_on(self._clock.monotonic()):
            return None, "paused"
        try:
            async with self._limiter.admitted(deadline.part(_SHARE_FOR_WAITING), tenant=tenant):
                # Others may have failed while this one waited.
                if not self._pause.may_call(self._clock.monotonic()):
                    return None, "paused"
                return await self._call(query, texts, deadline)
        except (Busy, Overloaded):
            return None, "busy"

    async def _call(
        self, query: str, texts: Sequence[str], deadline: Deadline
    ) -> tuple[Sequence[float] | None, Outcome]:
        try:
            with self._metrics.rerank_seconds.time():
                async with asyncio.timeout(deadline.left()):
                    scores = await self._reranker.score(query, texts)
        except (TimeoutError, Unavailable, GlobalFault, Rejected) as error:
            reason = f"{DEPENDENCY}: no answer in time" if isinstance(error, TimeoutError) else error
            _log.warning("hits keep their order: %s", reason)
            return None, self._note(error)
        self._pause.note_success()
        return scores, "reranked"

    def _note(self, error: TimeoutError | Unavailable | GlobalFault | Rejected) -> Outcome:
        """Note a failure, and return its name."""
        now = self._clock.monotonic()
        match error:
            case Rejected():
                # The server works. One tenant's odd texts must not end reranking for the others.
                self._pause.note_success()
                return "refused"
            case GlobalFault():
                self._pause.begin(now)
                return "refused"
            case Unavailable(retry_after=float() as seconds):
                self._pause.begin(now, seconds)
            case _:
                self._pause.note_failure(now)
        match error:
            case TimeoutError():
                return "late"
            case Throttled():
                return "throttled"
            case _:
                return "unavailable"
