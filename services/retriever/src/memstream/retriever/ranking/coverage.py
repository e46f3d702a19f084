"""How many of a question's terms each candidate contains. Pure.

A term that most candidates contain does not distinguish them, a rare one does: terms are weighted by how few candidates
contain them. How many candidates there are makes no difference, so a message that shares nothing with the question
changes nothing. A short turn leaves out what the turn before has said ("Yes, in May!"), so the terms of that one count
for it too, the more the shorter it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

import numpy as np

from memstream.retriever.ranking.scores import Floats

_HALF = 0.5
_TEXTS = 150.0
"""A term's weight is its inverse document frequency in a history of so many messages."""

_GRAM = 4
"""Characters of a piece of a term, blanks around it included."""

_POWER = 2.0
"""Half of a term's pieces are found by chance in many a text, and so count less than half."""

Reply = tuple[int, int, float]
"""The index of a turn, the index of the turn it replies to, and the share (0..1) to which that one's terms count."""


@dataclass(frozen=True, slots=True)
class TermMatches:
    """Which terms texts contain, and what each term weighs."""

    matrix: Floats
    """Texts by terms: 1 where a text contains a term, 0 where it doesn't; between where it contains a part."""
    weights: Floats
    """Of the terms; their sum is 1."""

    @property
    def coverage(self) -> Floats:
        """The weighted share of the terms that each text contains, 0..1; 0 if there are no terms."""
        covered: Floats = self.matrix @ self.weights
        return covered

    def coverage_with_replies(self, replies: Sequence[Reply]) -> Floats:
        """Return the coverage, where turns are credited with terms of the turns they reply to."""
        covered = self.coverage
        if replies:
            turns, before, shares = zip(*replies, strict=True)
            together = np.maximum(self.matrix[list(turns)], self.matrix[list(before)]) @ self.weights
            covered[list(turns)] += np.asarray(shares) * (together - covered[list(turns)])
        return covered


def exact_matches(stems: Sequence[str], texts: Sequence[str]) -> TermMatches:
    """Return which texts contain which terms.

    `stems` are the terms' stems with a space before each; `texts` have one space before and after each word.
    """
    return _weighted(_incidence(stems, texts))


def partial_matches(terms: Sequence[str], texts: Sequence[str]) -> TermMatches:
    """Return how much of each term the texts contain: the square of the share of its pieces of four characters.

    So other endings, compounds and slips of the pen count in part. `texts` are as those of `exact_matches`.
    """
    pieces = [_pieces(f" {term} ") for term in terms]
    found = _incidence([piece for each in pieces for piece in each], texts)
    ends = np.cumsum([len(each) for each in pieces])
    matrix = np.empty((len(texts), len(terms)))
    start = 0
    for column, end in enumerate(ends):
        matrix[:, column] = found[:, start:end].mean(axis=1)
        start = end
    return _weighted(matrix**_POWER)


def _pieces(padded: str) -> list[str]:
    return [padded[start : start + _GRAM] for start in range(max(1, len(padded) - _GRAM + 1))]


def _incidence(parts: Sequence[str], texts: Sequence[str]) -> Floats:
    """Return a matrix of texts by parts: 1 where a text contains a part, else 0."""
    found = bytes([part in text for text in texts for part in parts])
    return np.frombuffer(found, np.uint8).reshape(len(texts), len(parts)).astype(np.float64)


def _weighted(matrix: Floats) -> TermMatches:
    weights = log(_TEXTS + 1.0) - np.log(np.maximum(matrix.sum(axis=0), 1.0) + _HALF)
    return TermMatches(matrix, weights / weights.sum() if len(weights) else weights)
