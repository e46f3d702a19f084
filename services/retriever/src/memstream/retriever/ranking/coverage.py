"""How many of a question's terms each candidate contains. Pure.

A term that most candidates contain does not distinguish them, a rare one does: terms are weighted by how few candidates
contain them. A short turn leaves out what the turn before has said ("Yes, in May!"), so the terms of that one count for
it too, the more the shorter it is.
"""

from collections.abc import Sequence

import numpy as np

from memstream.retriever.ranking.scores import Floats

_HALF = 0.5

Reply = tuple[int, int, float]
"""The index of a turn, the index of the turn it replies to, and the share (0..1) to which that one's terms count."""


def incidence(terms: Sequence[str], texts: Sequence[str]) -> Floats:
    """Return a matrix of texts by terms: 1 where a text contains a term, else 0."""
    found = bytes([term in text for text in texts for term in terms])
    return np.frombuffer(found, np.uint8).reshape(len(texts), len(terms)).astype(np.float64)


def term_coverage(stems: Sequence[str], texts: Sequence[str], replies: Sequence[Reply] = ()) -> Floats:
    """Return for each text the weighted share of terms that it contains, 0..1; 0 if there are no terms.

    `stems` are the terms' stems with a space before each; `texts` have one space before and after each word.
    """
    if not stems or not texts:
        return np.zeros(len(texts))
    contains = incidence(stems, texts)
    # A term that no text contains is weighted like one that a single text contains.
    weights = np.log((len(texts) + 1) / (np.maximum(contains.sum(axis=0), 1.0) + _HALF))
    total = weights.sum()
    covered: Floats = contains @ weights / total
    if replies:
        turns, before, shares = zip(*replies, strict=True)
        together = np.maximum(contains[list(turns)], contains[list(before)]) @ weights / total
        covered[list(turns)] += np.asarray(shares) * (together - covered[list(turns)])
    return covered
