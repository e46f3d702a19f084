"""What a turn inherits from its neighbours, and from the conversation it is part of. Pure.

"Yes, last Friday!" bears on a question because of what it answers. So a turn is supported by the turns before and
after it in its conversation, the more the shorter it is: a long one stands alone. Who writes to an assistant, though,
begins anew: its last reply is about what was asked before. And a conversation that bears on the question in several
places lifts all of its turns. Only candidates count: whoever is no candidate would add little, and one round trip is
enough.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np

from memstream.retriever.ranking.relevance import Floats

BEFORE = 1.0
AFTER = 0.2
"""Shares of the neighbours' scores that a turn of no words would get."""

WORDS = 160.0
"""A turn of so many words gets 1/e of that."""

OTHERS = 3
"""So many of a conversation's other turns, the best ones, speak for it."""

_QUANTILE = 0.25
"""Share of the candidates whose score counts as none at all."""


class Turns(NamedTuple):
    """Candidates' places in their conversations, their lengths, and their own scores, an element a candidate."""

    conversations: Sequence[str | None]
    orders: Sequence[tuple[datetime, datetime]]
    """Sorts the turns of a conversation."""
    words: Floats
    scores: Sequence[float]
    by_assistant: Sequence[bool]


class Inherited(NamedTuple):
    """What turns get from the others, as scores, an element a turn."""

    neighbours: Floats
    conversation: Floats
    answered: Sequence[int]
    """The place of the turn that it answers; -1 if that is no candidate."""
    openness: Floats
    """Share of what that one says that counts for it: 1 for a turn of no words."""


def inherit(turns: Turns) -> Inherited:
    """Give what each turn inherits, in the order given; nothing for a turn without a conversation."""
    count = len(turns.scores)
    none = _quantile(turns.scores, _QUANTILE) if count else 0.0
    around = [0.0] * count
    firsts: list[int] = []
    seconds: list[int] = []
    for conversation in _several(turns.conversations):
        conversation.sort(key=turns.orders.__getitem__)
        firsts += conversation[:-1]
        seconds += conversation[1:]
        _surround(around, conversation, turns.scores, none)
    by_assistant = np.asarray(turns.by_assistant, np.bool_)
    earlier, later = np.asarray(firsts, np.intp), np.asarray(seconds, np.intp)
    follows = by_assistant[later] | ~by_assistant[earlier]
    earlier, later = earlier[follows], later[follows]
    above = np.asarray(turns.scores, np.float64) - none
    shares = np.exp(turns.words / -WORDS)
    near, openness, answered = np.zeros(count), np.zeros(count), np.full(count, -1)
    answered[later], openness[later] = earlier, shares[later]
    # Each turn is the later one of a pair at the most, and the earlier one of another.
    near[later] += BEFORE * shares[later] * above[earlier]
    near[earlier] += AFTER * shares[earlier] * above[later]
    return Inherited(near, np.asarray(around), answered.tolist(), openness)


def _several(conversations: Sequence[str | None]) -> list[list[int]]:
    """Give the places of each conversation's turns, where there is more than one."""
    places: dict[str, list[int]] = {}
    for place, conversation in enumerate(conversations):
        if conversation is not None:
            places.setdefault(conversation, []).append(place)
    return [several for several in places.values() if len(several) > 1]


def _surround(around: list[float], conversation: Sequence[int], scores: Sequence[float], none: float) -> None:
    """Note for a conversation's turns what its others say for them."""
    best = sorted(conversation, key=scores.__getitem__, reverse=True)[: OTHERS + 1]
    top = [scores[place] for place in best]
    # For whoever is none of the best, the others are the same ones.
    usual = sum(top[:OTHERS]) / len(top[:OTHERS]) - none
    for place in conversation:
        around[place] = usual
    total, others = sum(top), len(top) - 1
    for place in best[:OTHERS]:
        around[place] = (total - scores[place]) / others - none


def _quantile(values: Sequence[float], share: float) -> float:
    """Give the value below which this share of them is, between two of them in proportion."""
    ranked = sorted(values)
    below, part = divmod(share * (len(ranked) - 1), 1)
    low, high = ranked[int(below)], ranked[min(int(below) + 1, len(ranked) - 1)]
    return low + (high - low) * part
