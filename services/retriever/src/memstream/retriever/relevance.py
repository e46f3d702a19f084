"""What a score means: the probability that a message bears on a question. Pure.

A cosine or a BM25 score says little by itself: what is high in one model is noise in another. A calibration is a
logistic regression from the signals to "this message is evidence for that question", fitted on judged questions, one
for each combination of signals at hand. So a relevance of 0.7 means the same whichever mode found the message.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

Signals = Mapping[str, float]
"""By name: `dense` (cosine, -1..1) and `keyword` (BM25, 0 or more), as far as there are any."""


@dataclass(frozen=True, slots=True)
class Logistic:
    """p = 1 / (1 + exp(-(intercept + sum of weight times signal)))."""

    intercept: float
    weights: Mapping[str, float]

    def probability(self, signals: Signals) -> float:
        """Give the probability, 0 to 1; a signal that is missing counts as 0."""
        logit = self.intercept + sum(weight * signals.get(name, 0.0) for name, weight in self.weights.items())
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
        if "dense" not in signals:
            return self.keyword.probability(signals)
        if "keyword" not in signals:
            return self.dense.probability(signals)
        return self.both.probability(signals)
