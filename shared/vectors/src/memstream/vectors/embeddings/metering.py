"""Calls to the embeddings API within the budget that all services share."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence

from memstream.runtime.clock import Clock
from memstream.runtime.errors import MemstreamError, Unavailable
from memstream.streams.connections import DEPENDENCY as REDIS
from memstream.vectors.embeddings.budget import Budget, Charge, Use
from memstream.vectors.embeddings.provider import EmbeddingsProvider
from memstream.vectors.embeddings.quotas import Quotas
from memstream.vectors.space import InputType, Vectors

_log = logging.getLogger(__name__)

_BYTES_PER_TOKEN = 4.0
"""In English; what a provider really charges is learnt from its answers."""

_LEARNING = 0.1

_CORRECTIONS = 32
"""Of the budget, in progress at once."""

Watch = Callable[[int, float, MemstreamError | None], None]
"""Notified of every call: how many texts, how many seconds, and its failure."""


def ignore(_texts: int, _seconds: float, _failure: MemstreamError | None) -> None:
    """Watch nothing."""


class MeteredEmbeddings:
    """Embeds texts, each call when the budget allows it."""

    def __init__(self, provider: EmbeddingsProvider, budget: Budget, clock: Clock, watch: Watch = ignore) -> None:
        self._provider = provider
        self._budget = budget
        self._clock = clock
        self._watch = watch
        self._bytes_per_token = _BYTES_PER_TOKEN
        self._corrections: set[asyncio.Task[None]] = set()

    async def embed(
        self,
        texts: Sequence[str],
        use: Use,
        *,
        input_type: InputType = "passage",
        max_wait_seconds: float | None = None,
        waiting: Callable[[], None] = lambda: None,
    ) -> Vectors:
        """Return the vectors of up to 2,048 texts, none of them empty, one row a text.

        `use` says how urgent the call is, `waiting` is called now and then while the budget is spent.

        Raises:
            Unavailable, GlobalFault, Rejected: as `EmbeddingsProvider.embed`.
            Unavailable: the budget would keep the call waiting for longer than `max_wait_seconds` seconds.

        """
        size = sum(len(text.encode()) for text in set(texts))
        charge = await self._take(use, size / self._bytes_per_token, max_wait_seconds, waiting)
        started = self._clock.monotonic()
        try:
            answer = await self._provider.embed(texts, input_type)
        except MemstreamError as error:
            self._watch(len(texts), self._clock.monotonic() - started, error)
            retry_after = error.retry_after if isinstance(error, Unavailable) else None
            await self._correct(charge, None, Quotas(), retry_after)
            raise
        except asyncio.CancelledError:
            # Its permit would be held until the call must have ended.
            await self._correct(charge, None, Quotas())
            raise
        self._watch(len(texts), self._clock.monotonic() - started, None)
        if answer.tokens:
            self._bytes_per_token += _LEARNING * (size / answer.tokens - self._bytes_per_token)
        await self._correct_beside(self._correct(charge, answer.tokens, answer.quotas))
        return answer.vectors

    async def _correct_beside(self, correction: Coroutine[None, None, None]) -> None:
        """Let a correction go on beside what is done with the vectors; where many do already, wait for it."""
        task = asyncio.create_task(correction)
        self._corrections.add(task)
        task.add_done_callback(self._corrections.discard)
        if len(self._corrections) > _CORRECTIONS:
            await task

    async def _take(
        self, use: Use, tokens: float, max_wait_seconds: float | None, waiting: Callable[[], None]
    ) -> Charge:
        try:
            return await self._budget.take(use, tokens, max_wait_seconds=max_wait_seconds, waiting=waiting)
        except Unavailable as error:
            # A question can do without Redis, and so without the budget. What is to be stored can't.
            if use != "query" or error.dependency != REDIS:
                raise
            return Charge(tokens)

    async def _correct(
        self, charge: Charge, tokens: float | None, quotas: Quotas, retry_after: float | None = None
    ) -> None:
        try:
            await self._budget.correct(charge, tokens=tokens, quotas=quotas, retry_after=retry_after)
        except Unavailable as error:
            # The vectors are there all the same.
            _log.debug("the budget is not corrected: %s", error)

    async def aclose(self) -> None:
        """See the budget corrected, and close the connections to the provider."""
        await asyncio.gather(*self._corrections)
        await self._provider.aclose()
