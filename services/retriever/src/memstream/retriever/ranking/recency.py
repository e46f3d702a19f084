"""How old messages step back behind recent ones. Pure.

Recency changes the order of hits, never their relevance: that a message bears on a question does not become less likely
over the years. A caller's preference is another matter, and this is where it counts.
"""

import math
from datetime import datetime


def freshness(occurred_at: datetime, now: datetime, half_life: float) -> float:
    """Return 1 for a message of now or of the future, halved by each `half_life` seconds before."""
    age = max(0.0, (now - occurred_at).total_seconds())
    return math.exp2(-age / half_life)


def faded(score: float, fresh: float, weight: float) -> float:
    """Return a score less what age takes: nothing with a weight of 0, with 1 all but the share `fresh`."""
    return score * (1.0 - weight + weight * fresh)
