"""What a turn inherits from its neighbours, and from the conversation it is part of. Pure.

"Yes, last Friday!" bears on a question because of what it answers. So a turn is supported by the turns before and
after it in its conversation, the more the shorter it is: a long one stands alone. Who writes to an assistant, though,
begins anew: its last reply is about what was asked before. And a conversation that bears on the question in several
places lifts all of its turns. Only candidates count: whoever is no candidate would add little, and one round trip is
enough.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

BEFORE = 1.0
AFTER = 0.2
"""Shares of the neighbours' scores that a turn of no words would get."""

WORDS = 160.0
"""A turn of so many words gets 1/e of that."""

OTHERS = 3
"""So many of a conversation's other turns, the best ones, speak for it."""

_QUANTILE = 0.25
"""Share of the candidates whose score counts as none at all."""


class Turn(NamedTuple):
    """A candidate's place in its conversation, its length, and its own score."""

    conversation_id: str | None
    order: tuple[str, str]
    """Sorts the turns of a conversation."""
    words: int
    score: float
    by_assistant: bool = False


class Inherited(NamedTuple):
    """What a turn gets from the others, as scores."""

    neighbours: float = 0.0
    conversation: float = 0.0
    answered: int | None = None
    """The place of the turn that it answers, if that is a candidate too."""
    openness: float = 0.0
    """Share of what that one says that counts for it: 1 for a turn of no words."""


def inherit(turns: Sequence[Turn]) -> list[Inherited]:
    """Give what each turn inherits, in the order given; nothing for a turn without a conversation."""
    if not turns:
        return []
    conversations, orders, words, scores, by_assistant = zip(*turns, strict=True)
    none = _quantile(scores, _QUANTILE)
    shares = [math.exp(-count / WORDS) for count in words]
    near, around = [0.0] * len(turns), [0.0] * len(turns)
    answered: list[int | None] = [None] * len(turns)
    openness = [0.0] * len(turns)
    for conversation in _several(conversations):
        conversation.sort(key=orders.__getitem__)
        for earlier, later in pairwise(conversation):
            if by_assistant[earlier] and not by_assistant[later]:
                continue
            answered[later], openness[later] = earlier, shares[later]
            near[later] += BEFORE * shares[later] * (scores[earlier] - none)
            near[earlier] += AFTER * shares[earlier] * (scores[later] - none)
        best = sorted(conversation, key=scores.__getitem__, reverse=True)[: OTHERS + 1]
        # For whoever is none of the best, the others are the same ones.
        usual = _mean([scores[other] for other in best[:OTHERS]], none)
        for place in conversation:
            around[place] = usual
        for place in best:
            around[place] = _mean([scores[other] for other in best if other != place][:OTHERS], none)
    return list(map(Inherited, near, around, answered, openness))


def _several(conversations: Sequence[str | None]) -> list[list[int]]:
    """Give the places of each conversation's turns, where there is more than one."""
    places: dict[str, list[int]] = {}
    for place, conversation in enumerate(conversations):
        if conversation is not None:
            places.setdefault(conversation, []).append(place)
    return [several for several in places.values() if len(several) > 1]


def _mean(scores: Sequence[float], none: float) -> float:
    return sum(scores) / len(scores) - none if scores else 0.0


def _quantile(values: Sequence[float], share: float) -> float:
    """Give the value below which this share of them is, between two of them in proportion."""
    ranked = sorted(values)
    below, part = divmod(share * (len(ranked) - 1), 1)
    low, high = ranked[int(below)], ranked[min(int(below) + 1, len(ranked) - 1)]
    return low + (high - low) * part
