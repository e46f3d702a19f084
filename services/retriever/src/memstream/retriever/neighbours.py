"""What a turn inherits from its neighbours. Pure.

"Yes, last Friday!" bears on a question because of what it answers. So a turn is supported by the turns before and
after it in its conversation, the more the shorter it is: a long one stands alone. The neighbours are the nearest
candidates, not the nearest messages: whoever is no candidate would add little, and one round trip is enough.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

BEFORE = 0.5
AFTER = 0.3
"""Shares of the neighbours' evidence that a turn of no words would get."""

WORDS = 160.0
"""A turn of so many words gets 1/e of that."""

_QUANTILE = 25
"""Per cent of the candidates whose evidence counts as none at all."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A candidate's place in its conversation, its length, and its own evidence (log odds)."""

    conversation_id: str | None
    order: tuple[str, str]
    """Sorts the turns of a conversation."""
    words: int
    evidence: float


def support(turns: Sequence[Turn]) -> list[float]:
    """Give what each turn inherits, in log odds, in the order given; 0 for a turn without neighbours."""
    inherited = [0.0] * len(turns)
    if not turns:
        return inherited
    none = float(np.percentile([turn.evidence for turn in turns], _QUANTILE))
    places = sorted(
        (place for place, turn in enumerate(turns) if turn.conversation_id is not None),
        key=lambda place: (turns[place].conversation_id, turns[place].order),
    )
    for earlier, later in pairwise(places):
        before, after = turns[earlier], turns[later]
        if before.conversation_id == after.conversation_id:
            inherited[later] += BEFORE * math.exp(-after.words / WORDS) * (before.evidence - none)
            inherited[earlier] += AFTER * math.exp(-before.words / WORDS) * (after.evidence - none)
    return inherited
