"""How similar texts are to each other."""

from collections.abc import Awaitable, Callable, Sequence

import numpy as np

from memstream.contracts.searches import SimilarityOut
from memstream.retriever.admission import ConcurrencyLimiter
from memstream.retriever.asking import shortened
from memstream.runtime.clock import Clock
from memstream.runtime.deadline import Deadline
from memstream.vectors.embeddings import DEPENDENCY as EMBEDDINGS
from memstream.vectors.space import Vectors


class Similarity:
    """Compares texts by their vectors. These are not cached as questions' are: few texts are compared twice."""

    def __init__(
        self,
        embed: Callable[[Sequence[str]], Awaitable[Vectors]],
        limiter: ConcurrencyLimiter,
        clock: Clock,
        *,
        model: str,
        timeout: float,
    ) -> None:
        """Take the parts; `timeout` is in seconds."""
        self._embed = embed
        self._limiter = limiter
        self._clock = clock
        self._model = model
        self._timeout = timeout

    async def compare(self, texts: Sequence[str], tenant: str) -> SimilarityOut:
        """Return the cosine of each pair of texts.

        Raises:
            Unavailable, GlobalFault, Rejected: they can't be embedded, or not in time.
            Busy: too many requests wait already.

        """
        deadline = Deadline(self._clock, self._timeout)
        async with self._limiter.admitted(deadline, tenant=tenant), deadline.enforced(EMBEDDINGS):
            vectors = await self._embed([shortened(text) for text in texts])
        return SimilarityOut(model=self._model, similarity=cosines(vectors).tolist())


def cosines(vectors: Vectors) -> Vectors:
    """Return the cosine of each pair of rows, in -1..1; 0 with a row of zeros."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
    product: Vectors = unit @ unit.T
    return np.clip(product, -1.0, 1.0)
