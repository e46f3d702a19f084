"""How much of what a question asks each candidate says. Pure.

A word that most candidates say tells none of them from the others, a rare one does: so words weigh by how few say them.
And a short turn leaves out what the turn before has said ("Yes, in May!"): as far as it is short, the words of that one
count for it.
"""

from collections.abc import Sequence

import numpy as np

from memstream.retriever.ranking.relevance import Floats

_HALF = 0.5

Answer = tuple[int, int, float]
"""The place of a turn, that of the one it answers, and the share of that one's words that count for it."""


def spoken(parts: Sequence[str], texts: Sequence[str]) -> Floats:
    """Give a row for each text, with 1 for each part that stands in it, else 0."""
    found = bytes([part in text for text in texts for part in parts])
    return np.frombuffer(found, np.uint8).reshape(len(texts), len(parts)).astype(np.float64)


def coverages(starts: Sequence[str], texts: Sequence[str], answers: Sequence[Answer] = ()) -> Floats:
    """Give the weighted share of a question's words that each text says, 0..1; 0 where there are no words.

    `starts` are the words' beginnings, `texts` have a space before and after each word.
    """
    if not starts or not texts:
        return np.zeros(len(texts))
    said = spoken(starts, texts)
    # What nobody says is lacking everywhere, and weighs like what one says.
    weights = np.log((len(texts) + 1) / (np.maximum(said.sum(axis=0), 1.0) + _HALF))
    total = weights.sum()
    covered: Floats = said @ weights / total
    if answers:
        turns, before, shares = zip(*answers, strict=True)
        together = np.maximum(said[list(turns)], said[list(before)]) @ weights / total
        covered[list(turns)] += np.asarray(shares) * (together - covered[list(turns)])
    return covered
