"""Scores of messages made comparable: long messages against short ones, short histories against long ones. Pure."""

import math
from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

Score = Literal["dense", "keyword"]
"""`dense` is the cosine (-1..1) and `keyword` the BM25 score (0 or more), each of a message's best chunk."""

DENSE_PENALTY = 0.08
KEYWORD_PENALTY = 0.2
"""A long message is judged by the best of its chunks, and the best of many draws is high by chance. So each score is
lowered with the logarithm of their number, which is how the largest of n grows. The two factors are fitted."""

LONG_HISTORY = 150
"""Messages of a history that counts as a long one: as many candidates as the questions have that the coefficients are
fitted to."""

_SHORTEST_HISTORY = 5
"""A shorter history counts as one of so many messages: it hardly contains what is asked for."""


def history_size(messages: int, chunks: int, requested_chunks: int) -> int:
    """Return how many messages a history counts as having, when so many messages and chunks were proposed.

    If the cosine proposed fewer chunks than were requested, it proposed the whole history; else the history counts as a
    long one. How many more BM25 proposes says nothing: they are few if few messages share a word with the question.
    """
    return messages if chunks < requested_chunks else LONG_HISTORY


def bm25_rarity(history: int) -> float:
    """Return the factor that BM25 scores lack in a short history, where no term can be as rare as in a long one."""
    return max(1.0, math.log(1 + LONG_HISTORY) / math.log(1 + max(history, _SHORTEST_HISTORY)))


def prior_log_odds(rarity: float) -> float:
    """Return what to add to the log odds of each message of a history with this `bm25_rarity`: 0 for a long one.

    It is the logarithm of `LONG_HISTORY` over the history's size: one or two messages answer a question, whether of
    twenty or of hundreds. Measured on parts of LoCoMo's histories, with half of the questions asked of somebody else:
    25 messages 1.6, 47 messages 1.3, 89 messages 0.6.
    """
    return math.log(LONG_HISTORY / ((1 + LONG_HISTORY) ** (1 / rarity) - 1))


def adjusted_cosines(cosines: Floats, chunks: Floats, _rarity: Floats | float) -> Floats:
    """Return cosines without the advantage of messages with many chunks."""
    return cosines - DENSE_PENALTY * np.log(chunks)


def adjusted_bm25(scores: Floats, chunks: Floats, rarity: Floats | float) -> Floats:
    """Return BM25 scores as in a long history, without the advantage of messages with many chunks."""
    return scores * rarity / (1.0 + KEYWORD_PENALTY * np.log(chunks))


Adjustment = Callable[[Floats, Floats, Floats | float], Floats]
"""What is compared, from scores, numbers of chunks, and BM25 rarities."""

ADJUSTMENTS: Mapping[Score, Adjustment] = {"dense": adjusted_cosines, "keyword": adjusted_bm25}
