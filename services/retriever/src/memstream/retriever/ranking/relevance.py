"""What a score means: the probability that a message bears on a question. Pure.

A cosine or a BM25 score says little by itself: what is high in one model is noise in another. A calibration is a
logistic regression from the signals to "this message is evidence for that question", fitted on judged questions, one
for each combination of scores at hand. So a relevance of 0.7 means the same whichever mode found the message.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

DENSE_PENALTY = 0.08
KEYWORD_PENALTY = 0.2
"""A long message is judged by the best of its chunks, and the best of many draws is high by chance. So each signal is
lowered with the logarithm of their number, which is how the largest of n grows; the two factors are fitted."""


BRIEF = 10.0
"""Words of a message that says 1 - 1/e of what a longer one says."""


POOL = 150
"""Messages of a history that counts as a long one: as many candidates as questions of the sets have that calibrations
are fitted on."""

_FEWEST = 5


def history_of(messages: int, points: int, asked: int) -> int:
    """Say how many messages a history counts as having, of which so many were proposed, as so many points.

    One of fewer points than the cosine was asked for is proposed as a whole; any other one counts as a long one. How
    many more the keywords propose says nothing of it: they are few where nothing was said of the question.
    """
    return messages if points < asked else POOL


def prior_among(messages: int) -> float:
    """Give what to add to the log odds of each message of a history of so few.

    One or two of a user's messages answer a question, be they one or two of twenty or of hundreds. Measured on parts of
    LoCoMo's histories, half of the questions asked of somebody else: 25 messages 1.6, 47 1.3, 89 0.6. Fewer than
    `_FEWEST` count as so many: whoever has said next to nothing has hardly said what is asked.
    """
    return max(0.0, math.log(POOL / max(messages, _FEWEST)))


def rarity_among(messages: int) -> float:
    """Give what BM25 lacks in a history of so few messages, where no term can be as rare as in a long one."""
    return max(1.0, math.log(1 + POOL) / math.log(1 + max(messages, _FEWEST)))


def prior_among_rarity(rarity: float) -> float:
    """Give what `prior_among` gives where `rarity_among` gives this rarity."""
    return math.log(POOL / ((1 + POOL) ** (1 / rarity) - 1))


@dataclass(frozen=True, slots=True)
class Signals:
    """What is known of a message: cosine (-1..1) and BM25 score (0 or more) of its best chunk, None if not asked.

    The others are 0 where they don't apply.
    """

    dense: float | None = None
    keyword: float | None = None
    chunks: int = 1
    """How many chunks the message has."""
    neighbours: float = 0.0
    """What it inherits from the turns beside it, as a score of its own would be."""
    conversation: float = 0.0
    """How far its conversation's best other turns bear on the question, likewise."""
    brevity: float = 0.0
    """1 for a message of no words, 1/e for one of `BRIEF` words: so little says little."""
    speaker: float = 0.0
    """1 if the one whom the question names said it, be it the assistant: "did you recommend"."""
    not_own: float = 0.0
    """1 if the question is about the one who asks ("did I"), and an assistant or somebody else said it."""
    answers: float = 0.0
    """1 if it tells a time or a number, where the question asks for one."""
    phrases: float = 0.0
    """How many pairs of words it shares with the question."""
    coverage: float = 0.0
    """Share of the question's words that it says, other than little words, words of asking and names of speakers: the
    fewer candidates say a word, the more it counts. To a short turn the words of the one it answers count too."""
    time: float = 0.0
    """1 if it was said at a time that the question names."""
    early: float = 0.0
    """0.5 if it was said first of the best candidates, -0.5 if last: what is told is mostly told in full when it first
    comes up, and taken for granted later. 0 where the question is about the present, which the last may tell best."""
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
        """Give them by name, as far as they are known and apply."""
        known = {"dense": self.dense, "keyword": self.keyword, "chunks": self.chunks}
        told = {name: value for name in CONTEXTUAL if (value := getattr(self, name))}
        if self.rarity > 1.0:
            told["rarity"] = self.rarity
        return {name: float(value) for name, value in (known | told).items() if value is not None}


@dataclass(frozen=True, slots=True)
class Columns:
    """The signals of many messages, each an array with an element a message; what they mean, `Signals` says."""

    dense: Floats | None
    keyword: Floats | None
    chunks: Floats
    rarity: float
    neighbours: Floats
    conversation: Floats
    brevity: Floats
    speaker: Floats
    not_own: Floats
    answers: Floats
    phrases: Floats
    coverage: Floats
    time: Floats
    early: Floats

    @property
    def fair_dense(self) -> Floats:
        """As that of `Signals`."""
        return fair_cosines(self.dense, self.chunks)

    @property
    def fair_keyword(self) -> Floats:
        """As that of `Signals`."""
        return fair_scores(self.keyword, self.chunks, self.rarity)

    def of(self, places: Sequence[int]) -> list[Signals]:
        """Give those of some messages, by their places."""
        scores = [[None] * len(places) if one is None else one[places].tolist() for one in (self.dense, self.keyword)]
        chunks = self.chunks[places].astype(int).tolist()
        contextual = [getattr(self, name)[places].tolist() for name in CONTEXTUAL]
        return [
            Signals(dense, keyword, count, rarity=self.rarity, **dict(zip(CONTEXTUAL, told, strict=True)))
            for dense, keyword, count, *told in zip(*scores, chunks, *contextual, strict=True)
        ]


def fair_cosines(dense: Floats | None, chunks: Floats) -> Floats:
    """Give cosines, with the advantage of many chunks taken off."""
    return (0.0 if dense is None else dense) - DENSE_PENALTY * np.log(chunks)


def fair_scores(keyword: Floats | None, chunks: Floats, rarity: float) -> Floats:
    """Give BM25 scores, as of a history of usual size, with the advantage of many chunks taken off."""
    if keyword is None:
        return np.zeros(len(chunks))
    return keyword * rarity / (1.0 + KEYWORD_PENALTY * np.log(chunks))


CONTEXTUAL = (
    *("neighbours", "conversation", "brevity", "speaker"),
    *("not_own", "answers", "phrases", "coverage", "time", "early"),
)
"""Signals beyond a message's own scores."""


@dataclass(frozen=True, slots=True)
class Linear:
    """Log odds: the intercept, and each signal times its coefficient; the two scores are the fair ones."""

    intercept: float
    dense: float = 0.0
    keyword: float = 0.0
    neighbours: float = 0.0
    conversation: float = 0.0
    brevity: float = 0.0
    speaker: float = 0.0
    not_own: float = 0.0
    answers: float = 0.0
    phrases: float = 0.0
    coverage: float = 0.0
    time: float = 0.0
    early: float = 0.0

    def own(self, fair_dense: Floats, fair_keyword: Floats) -> Floats:
        """Give messages' own scores: as cosines, to whose scale BM25 is brought; as BM25 where there is no other."""
        if not self.dense:
            return fair_keyword
        return fair_dense + self.keyword / self.dense * fair_keyword

    @overload
    def evidence(self, signals: Signals) -> float: ...
    @overload
    def evidence(self, signals: Columns) -> Floats: ...
    def evidence(self, signals: Signals | Columns) -> float | Floats:
        """Give the log odds that all signals speak for: of a message, or of each."""
        return (
            self.intercept
            + self.dense * signals.fair_dense
            + self.keyword * signals.fair_keyword
            + self.neighbours * signals.neighbours
            + self.conversation * signals.conversation
            + self.brevity * signals.brevity
            + self.speaker * signals.speaker
            + self.not_own * signals.not_own
            + self.answers * signals.answers
            + self.phrases * signals.phrases
            + self.coverage * signals.coverage
            + self.time * signals.time
            + self.early * signals.early
        )


@dataclass(frozen=True, slots=True)
class Calibration:
    """How the signals of one embedding space turn into evidence."""

    both: Linear
    dense: Linear
    keyword: Linear

    def line(self, *, dense: bool, keyword: bool) -> Linear:
        """Give the coefficients for the scores at hand."""
        if not dense:
            return self.keyword
        return self.both if keyword else self.dense

    @overload
    def evidence(self, signals: Signals) -> float: ...
    @overload
    def evidence(self, signals: Columns) -> Floats: ...
    def evidence(self, signals: Signals | Columns) -> float | Floats:
        """Give the log odds by the signals at hand: of a message, or of each."""
        return self.line(dense=signals.dense is not None, keyword=signals.keyword is not None).evidence(signals)


def probability(log_odds: float) -> float:
    """Turn log odds into a probability, 0 to 1."""
    # Far out the exponential overflows; there the answer is 0 or 1 to all digits.
    return 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, log_odds))))


def probabilities(log_odds: Floats) -> Floats:
    """Turn log odds into probabilities, as `probability` does."""
    return 1.0 / (1.0 + np.exp(-np.clip(log_odds, -60.0, 60.0)))
