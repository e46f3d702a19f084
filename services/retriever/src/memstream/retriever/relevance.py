"""What a score means: the probability that a message bears on a question. Pure.

A cosine or a BM25 score says little by itself: what is high in one model is noise in another. A calibration is a
logistic regression from the signals to "this message is evidence for that question", fitted on judged questions, one
for each combination of signals at hand. So a relevance of 0.7 means the same whichever mode found the message. What a
message inherits from its neighbours (see `neighbours`) is added to its own evidence before that becomes a probability.
"""

import math
from dataclasses import dataclass

DENSE_PENALTY = 0.08
KEYWORD_PENALTY = 0.2
"""A long message is judged by the best of its chunks, and the best of many draws is high by chance. So each signal is
lowered with the logarithm of their number, which is how the largest of n grows; the two factors are fitted."""


POOL = 150
"""Candidates of a question in the sets that calibrations are fitted on."""


_FEWEST = 5


def prior_among(candidates: int) -> float:
    """Give what to add to the log odds of each of so few candidates.

    One or two of a user's messages answer a question, be they one or two of twenty or of hundreds. Measured on parts of
    LoCoMo's histories, half of the questions asked of somebody else: 25 messages 1.6, 47 1.3, 89 0.6. Fewer than
    `_FEWEST` count as so many: whoever has said next to nothing has hardly said what is asked.
    """
    return max(0.0, math.log(POOL / max(candidates, _FEWEST)))


def rarity_among(messages: int) -> float:
    """Give what BM25 lacks in a history of so few messages, where no term can be as rare as in a long one."""
    return max(1.0, math.log(1 + POOL) / math.log(1 + max(messages, _FEWEST)))


@dataclass(frozen=True, slots=True)
class Signals:
    """What is known of a message: cosine (-1..1) and BM25 score (0 or more) of its best chunk, None if not asked.

    `chunks` is how many chunks the message has, `neighbours` what it inherits from the turns around it (log odds).
    """

    dense: float | None = None
    keyword: float | None = None
    chunks: int = 1
    neighbours: float = 0.0
    rarity: float = 1.0
    """What the BM25 score is to be multiplied by to compare with one of a larger history: see `rarity_among`."""

    @property
    def fair_dense(self) -> float:
        """The cosine, with the advantage of many chunks taken off."""
        return (self.dense or 0.0) - DENSE_PENALTY * math.log(self.chunks)

    @property
    def fair_keyword(self) -> float:
        """The BM25 score, as of a history of usual size, with the advantage of many chunks taken off."""
        return (self.keyword or 0.0) * self.rarity / (1.0 + KEYWORD_PENALTY * math.log(self.chunks))

    def named(self) -> dict[str, float]:
        """Give them by name, as far as they are known."""
        known = {"dense": self.dense, "keyword": self.keyword, "chunks": self.chunks, "neighbours": self.neighbours}
        return {name: float(value) for name, value in known.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Linear:
    """Log odds = intercept + dense * fair cosine + keyword * fair BM25."""

    intercept: float
    dense: float = 0.0
    keyword: float = 0.0

    def evidence(self, signals: Signals) -> float:
        """Give the log odds that a message's own signals speak for."""
        return self.intercept + self.dense * signals.fair_dense + self.keyword * signals.fair_keyword


@dataclass(frozen=True, slots=True)
class Calibration:
    """How the signals of one embedding space turn into evidence."""

    both: Linear
    dense: Linear
    keyword: Linear

    def evidence(self, signals: Signals) -> float:
        """Give the log odds by the signals at hand."""
        if signals.dense is None:
            return self.keyword.evidence(signals)
        if signals.keyword is None:
            return self.dense.evidence(signals)
        return self.both.evidence(signals)


def probability(log_odds: float) -> float:
    """Turn log odds into a probability, 0 to 1."""
    # Far out the exponential overflows; there the answer is 0 or 1 to all digits.
    return 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, log_odds))))
