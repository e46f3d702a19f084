"""Scores of messages made comparable: long messages against short ones, one embedding space against another. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

Score = Literal["dense", "keyword"]
"""`dense` is the cosine (-1..1) and `keyword` the BM25 score (0 or more), each of a message's best chunk."""

DENSE_PENALTY = 0.224
KEYWORD_PENALTY = 0.2
"""A long message is judged by the best of its chunks, and the best of many draws is high by chance. So each score is
lowered with the logarithm of their number, which is how the largest of n grows. The two factors are fitted; the first
is on the scale that all spaces share."""

KEYWORD_SHARE = 0.1
"""What a BM25 score of 1 adds to the cosine where one number has to say how well a message matches; fitted."""


@dataclass(frozen=True, slots=True)
class CosineScale:
    """What cosines mean in an embedding space."""

    unrelated: float
    """The mean cosine of a question and a message about something else."""
    answering: float
    """The mean cosine of a question and a message that answers it."""

    def apply(self, cosines: Floats) -> Floats:
        """Return cosines as 0 for what is unrelated, 1 for what answers the question; they may be below and above."""
        scaled: Floats = (cosines - self.unrelated) / (self.answering - self.unrelated)
        return scaled


Adjustment = Callable[[Floats, Floats, CosineScale], Floats]
"""What is compared, from scores, numbers of chunks, and what cosines mean."""


def adjusted_cosines(cosines: Floats, chunks: Floats, scale: CosineScale) -> Floats:
    """Return cosines on a scale that all spaces share, without the advantage of messages with many chunks."""
    return scale.apply(cosines) - DENSE_PENALTY * np.log(chunks)


def adjusted_bm25(scores: Floats, chunks: Floats, _scale: CosineScale) -> Floats:
    """Return BM25 scores without the advantage of messages with many chunks."""
    return scores / (1.0 + KEYWORD_PENALTY * np.log(chunks))


ADJUSTMENTS: Mapping[Score, Adjustment] = {"dense": adjusted_cosines, "keyword": adjusted_bm25}


def combined_scores(adjusted: Mapping[Score, Floats]) -> Floats:
    """Return adjusted scores combined into one, on the scale of cosines."""
    if "keyword" not in adjusted:
        return adjusted["dense"]
    keyword = KEYWORD_SHARE * adjusted["keyword"]
    return adjusted["dense"] + keyword if "dense" in adjusted else keyword
