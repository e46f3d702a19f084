"""How recent messages come before old ones, if a caller prefers that. Pure.

Recency changes the order of hits, never their relevance: a message does not become less likely to be relevant to a
question over the years.
"""

import math
from datetime import datetime


def recency_of(occurred_at: datetime, now: datetime, half_life: float) -> float:
    """Return 1 for a message of now or of the future, halved by each `half_life` seconds before."""
    age = max(0.0, (now - occurred_at).total_seconds())
    return math.exp2(-age / half_life)


def recency_weighted(score: float, recency: float, weight: float) -> float:
    """Return a score lowered by age: unchanged with a weight of 0, multiplied by `recency` with a weight of 1."""
    return score * (1.0 - weight + weight * recency)
