"""How what repeats a better hit steps back behind what says something else. Pure.

Hits are placed one by one, as by maximal marginal relevance (Carbonell and Goldstein 1998): each time the one whose
score, less what it repeats of those placed before, is the highest. What is repeated is taken off as a share and not as
a difference: scores are probabilities, mostly small ones, and a cosine would outweigh them all.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]


def spread(scores: Sequence[float], vectors: Matrix, strength: float, limit: int) -> list[tuple[int, float]]:
    """Place up to `limit` hits, and give for each its index and its redundancy, 0 to 1.

    `vectors` has a row for each score, of any length; redundancy is the square of the largest cosine with a hit placed
    before, so that what is about the same matter loses little and what says the same nearly all. With a `strength` of 0
    the order is that of the scores, with 1 an exact repetition comes last. Of equals the earlier one is taken.
    """
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
    relevant = np.asarray(scores, dtype=np.float64)
    redundancy = np.zeros(len(relevant))
    waiting = np.ones(len(relevant), dtype=bool)
    placed: list[tuple[int, float]] = []
    for _ in range(min(limit, len(relevant))):
        best = int(np.argmax(np.where(waiting, relevant * (1.0 - strength * redundancy), -1.0)))
        placed.append((best, float(redundancy[best])))
        waiting[best] = False
        cosines = np.clip(unit @ unit[best], 0.0, 1.0)
        redundancy = np.maximum(redundancy, cosines.astype(np.float64) ** 2)
    return placed
