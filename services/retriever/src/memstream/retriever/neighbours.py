"""What a turn inherits from its neighbours, and from the conversation it is part of. Pure.

"Yes, last Friday!" bears on a question because of what it answers. So a turn is supported by the turns before and
after it in its conversation, the more the shorter it is: a long one stands alone. And a conversation that bears on the
question in several places lifts all of its turns. Only candidates count: whoever is no candidate would add little, and
one round trip is enough.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np

BEFORE = 1.0
AFTER = 0.2
"""Shares of the neighbours' scores that a turn of no words would get."""

WORDS = 160.0
"""A turn of so many words gets 1/e of that."""

OTHERS = 3
"""So many of a conversation's other turns, the best ones, speak for it."""

_QUANTILE = 0.25
"""Share of the candidates whose score counts as none at all."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A candidate's place in its conversation, its length, and its own score."""

    conversation_id: str | None
    order: tuple[str, str]
    """Sorts the turns of a conversation."""
    words: int
    score: float


@dataclass(frozen=True, slots=True)
class Inherited:
    """What a turn gets from the others, as scores."""

    neighbours: float = 0.0
    conversation: float = 0.0


def inherit(turns: Sequence[Turn]) -> list[Inherited]:
    """Give what each turn inherits, in the order given; nothing for a turn without a conversation."""
    if not turns:
        return []
    none = float(np.quantile([turn.score for turn in turns], _QUANTILE))
    near, around = [0.0] * len(turns), [0.0] * len(turns)
    places = sorted(
        (place for place, turn in enumerate(turns) if turn.conversation_id is not None),
        key=lambda place: (turns[place].conversation_id, turns[place].order),
    )
    for _, part in groupby(places, key=lambda place: turns[place].conversation_id):
        conversation = list(part)
        for earlier, later in pairwise(conversation):
            near[later] += BEFORE * _share(turns[later]) * (turns[earlier].score - none)
            near[earlier] += AFTER * _share(turns[earlier]) * (turns[later].score - none)
        best = sorted(conversation, key=lambda place: -turns[place].score)[: OTHERS + 1]
        for place in conversation:
            others = [turns[other].score for other in best if other != place][:OTHERS]
            around[place] = sum(others) / len(others) - none if others else 0.0
    return [Inherited(*both) for both in zip(near, around, strict=True)]


def _share(turn: Turn) -> float:
    return math.exp(-turn.words / WORDS)
