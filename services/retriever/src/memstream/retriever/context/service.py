"""Contexts: a text for a prompt, from the answer to a question."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

from memstream.contracts.searches import ContextIn, ContextOut, SearchIn
from memstream.retriever.calculations import Calculations
from memstream.retriever.context.assembly import NeighbourPassage, assemble
from memstream.retriever.search import Answer
from memstream.runtime.clock import Clock

AnswerSearches = Callable[[Sequence[SearchIn], str, float], Awaitable[list[Answer]]]
"""Answers a tenant's searches, with the least relevance of those that don't say one."""


class Contexts:
    """Builds contexts. It abstains when nothing is relevant enough."""

    def __init__(  # noqa: PLR0913 - its parts, by name
        self,
        answer: AnswerSearches,
        clock: Clock,
        *,
        model: str,
        abstain_below: float,
        token_counters: Mapping[str, Callable[[str], int]],
        calculations: Calculations,
    ) -> None:
        """Take the parts; `token_counters` has a function for each encoding that counts a text's tokens."""
        self._answer = answer
        self._clock = clock
        self._model = model
        self._abstain_below = abstain_below
        self._token_counters = token_counters
        self._calculations = calculations

    async def build(self, question: ContextIn, tenant: str) -> ContextOut:
        """Return a text for a prompt with its sources, within the question's token budget.

        Raises:
            Invalid: a position to wait for is none of this installation's.
            Unavailable, GlobalFault: the store or Redis is out of reach, or the time for an answer is over.
            Busy: too many requests wait already.

        """
        started = self._clock.monotonic()
        (answer,) = await self._answer([question], tenant, self._abstain_below)
        count = self._token_counters[question.encoding]
        neighbours = [[NeighbourPassage(turn) for turn in (*hit.turns.before, *hit.turns.after)] for hit in answer.hits]
        assembled = await self._calculations.run(
            partial(assemble, answer.hits, question.token_budget, count, neighbours),
            tenant,
            # To count tokens may begin with reading a vocabulary.
            is_short=not answer.hits,
        )
        return ContextOut(
            context=assembled.context,
            tokens=assembled.tokens,
            citations=assembled.citations,
            abstained=not answer.hits,
            degraded=answer.degraded,
            calibrated=answer.calibrated,
            reranked=answer.reranked,
            pending=answer.pending,
            not_stored=dict(answer.not_stored),
            model=self._model,
            took_ms=round((self._clock.monotonic() - started) * 1000, 3),
        )
