"""How what was said long ago steps back behind what was said lately. Pure.

Recency changes the order of hits, never their relevance: that a message bears on a question does not become less likely
with the years. What a caller prefers is another matter, and this is where it counts.
"""

import math
from datetime import datetime


def freshness(occurred_at: datetime, now: datetime, half_life: float) -> float:
    """Give 1 for what was said now, or is yet to come, and half of it for each `half_life` seconds before."""
    age = max(0.0, (now - occurred_at).total_seconds())
    return math.exp2(-age / half_life)


def faded(score: float, fresh: float, weight: float) -> float:
    """Take off a score what it loses by its age: nothing with a weight of 0, with 1 all but the share `fresh`."""
    return score * (1.0 - weight + weight * fresh)
