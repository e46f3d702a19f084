"""What a score means: the probability that a message bears on a question. Pure.

A cosine or a BM25 score says little by itself: what is high in one model is noise in another. A calibration is a
logistic regression from the signals to "this message is evidence for that question", fitted on judged questions, one
for each combination of signals at hand. So a relevance of 0.7 means the same whichever mode found the message.
"""

import math
from dataclasses import dataclass

DENSE_PENALTY = 0.08
KEYWORD_PENALTY = 0.2
"""A long message is judged by the best of its chunks, and the best of many draws is high by chance. So each signal is
lowered with the logarithm of their number, which is how the largest of n grows; the two factors are fitted."""


@dataclass(frozen=True, slots=True)
class Signals:
    """What is known of a message: cosine (-1..1) and BM25 score (0 or more) of its best chunk, None if not asked.

    `chunks` is how many chunks the message has.
    """

    dense: float | None = None
    keyword: float | None = None
    chunks: int = 1

    @property
    def fair_dense(self) -> float:
        """The cosine, with the advantage of many chunks taken off."""
        return (self.dense or 0.0) - DENSE_PENALTY * math.log(self.chunks)

    @property
    def fair_keyword(self) -> float:
        """The BM25 score, with the advantage of many chunks taken off."""
        return (self.keyword or 0.0) / (1.0 + KEYWORD_PENALTY * math.log(self.chunks))

    def named(self) -> dict[str, float]:
        """Give them by name, as far as they are known."""
        known = {"dense": self.dense, "keyword": self.keyword, "chunks": float(self.chunks)}
        return {name: value for name, value in known.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Logistic:
    """p = 1 / (1 + exp(-(intercept + dense * fair cosine + keyword * fair BM25)))."""

    intercept: float
    dense: float = 0.0
    keyword: float = 0.0

    def probability(self, signals: Signals) -> float:
        """Give the probability, 0 to 1."""
        logit = self.intercept + self.dense * signals.fair_dense + self.keyword * signals.fair_keyword
        # Far out the exponential overflows; there the answer is 0 or 1 to all digits.
        return 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, logit))))


@dataclass(frozen=True, slots=True)
class Calibration:
    """How the signals of one embedding space turn into relevance."""

    both: Logistic
    dense: Logistic
    keyword: Logistic

    def relevance(self, signals: Signals) -> float:
        """Give the probability by the signals at hand."""
        if signals.dense is None:
            return self.keyword.probability(signals)
        if signals.keyword is None:
            return self.dense.probability(signals)
        return self.both.probability(signals)
