"""The best hits in the order of their rerank scores. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from memstream.retriever.ranking import RERANK, RankedMessage


def reordered(ranked: Sequence[RankedMessage], scores: Sequence[float]) -> list[RankedMessage]:
    """Return messages that are sorted by relevance with the first of them in the order of their scores.

    `scores` are of the first messages, at most one for each. Equal scores keep their order. The relevances keep their
    places: the message that is now the k-th gets the k-th highest relevance. So relevance still falls from hit to hit,
    and as many messages as before reach any threshold. The note `rerank` is the score.
    """
    order = sorted(range(len(scores)), key=lambda index: -scores[index])
    first = [
        replace(
            ranked[index],
            relevance=ranked[place].relevance,
            notes={**ranked[index].notes, RERANK.name: scores[index]},
        )
        for place, index in enumerate(order)
    ]
    return [*first, *ranked[len(scores) :]]
