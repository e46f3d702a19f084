"""From questions to vectors, or the decision to answer without them."""

import logging
from collections.abc import Awaitable, Callable, Sequence

from memstream.contracts.searches import SearchIn
from memstream.retriever.asking.known_speakers import KnownSpeakers
from memstream.retriever.asking.query_vectors import Vector
from memstream.retriever.asking.speakers import may_mention_speaker, strip_speaker_names
from memstream.retriever.metrics import RetrieverMetrics
from memstream.runtime.deadline import Deadline
from memstream.runtime.errors import GlobalFault, Rejected, Unavailable
from memstream.vectors.embeddings import DEPENDENCY as EMBEDDINGS
from memstream.vectors.store import DEPENDENCY as STORE
from memstream.vectors.store import owner_of

_log = logging.getLogger(__name__)

_EMBEDDED_BYTES = 8_000
"""A question is embedded up to here: a model takes 8,192 tokens, and a token is a byte at the least."""

_SHARE_FOR_EMBEDDING = 0.5
"""Share of the time for an answer that embedding its question may take: keywords need the rest."""


class QueryEmbedder:
    """Embeds questions without the names of their users' speakers. If the provider fails, there are no vectors."""

    def __init__(
        self,
        embed: Callable[[Sequence[str], str], Awaitable[Sequence[Vector]]],
        speakers: KnownSpeakers,
        metrics: RetrieverMetrics,
    ) -> None:
        self._embed = embed
        self._speakers = speakers
        self._metrics = metrics

    async def embed(
        self, searches: Sequence[SearchIn], tenant: str, deadline: Deadline
    ) -> tuple[Sequence[Vector | None], bool]:
        """Return a vector for each question that needs one, and whether these could not be computed.

        Raises:
            Unavailable, GlobalFault, Rejected: the store, which knows the speakers, is out of reach.

        """
        texts = await self._texts([search for search in searches if search.mode != "keyword"], tenant, deadline)
        if not texts:
            return [None] * len(searches), False
        try:
            with self._metrics.embed_seconds.time():
                async with deadline.part(_SHARE_FOR_EMBEDDING).enforced(EMBEDDINGS):
                    rows = iter(await self._embed(texts, tenant))
        except (Unavailable, GlobalFault, Rejected) as error:
            _log.warning("answering by keywords alone: %s", error)
            return [None] * len(searches), True
        return [None if search.mode == "keyword" else next(rows) for search in searches], False

    async def _texts(self, searches: Sequence[SearchIn], tenant: str, deadline: Deadline) -> list[str]:
        texts = [shortened(search.query) for search in searches]
        owners = [
            owner_of(tenant, search.user_id) if may_mention_speaker(text) else None
            for search, text in zip(searches, texts, strict=True)
        ]
        if not any(owners):
            return texts
        async with deadline.enforced(STORE):
            speakers = await self._speakers.of({owner for owner in owners if owner is not None})
        return [
            text if owner is None else strip_speaker_names(text, speakers[owner])
            for text, owner in zip(texts, owners, strict=True)
        ]


def shortened(text: str) -> str:
    """Return the beginning of a text that a model takes for certain, cut between characters."""
    data = text.encode()
    return text if len(data) <= _EMBEDDED_BYTES else data[:_EMBEDDED_BYTES].decode(errors="ignore")
