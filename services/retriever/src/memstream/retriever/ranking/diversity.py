"""How hits that repeat a better one step back behind hits that say something else. Pure.

Hits are picked one by one, as by maximal marginal relevance (Carbonell and Goldstein 1998): each time the one with the
highest score, less what it repeats of those picked before. What it repeats is taken off as a share, not as a
difference: scores are probabilities, mostly small ones, and a cosine would outweigh them all.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]


def diversify(scores: Sequence[float], vectors: Matrix, strength: float, limit: int) -> list[tuple[int, float]]:
    """Return up to `limit` hits in their new order: for each its index and its redundancy, 0 to 1.

    `vectors` has a row for each score, of any length. Redundancy is the square of the largest cosine with a hit picked
    before, so that hits about the same subject lose little, and hits that say the same nearly all. With a `strength` of
    0 the order is that of the scores, with 1 an exact repetition comes last. Of equals the earlier one is picked.
    """
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
    relevant = np.asarray(scores, dtype=np.float64)
    redundancy = np.zeros(len(relevant))
    is_left = np.ones(len(relevant), dtype=bool)
    picked: list[tuple[int, float]] = []
    for _ in range(min(limit, len(relevant))):
        best = int(np.argmax(np.where(is_left, relevant * (1.0 - strength * redundancy), -1.0)))
        picked.append((best, float(redundancy[best])))
        is_left[best] = False
        cosines = np.clip(unit @ unit[best], 0.0, 1.0)
        redundancy = np.maximum(redundancy, cosines.astype(np.float64) ** 2)
    return picked
