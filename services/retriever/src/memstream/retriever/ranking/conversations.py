"""What the other turns of a conversation say about each turn. Pure.

"Yes, last Friday!" is relevant to a question because of the turn it replies to. So a turn is lifted by the scores of
the turns before and after it, the more the shorter it is: a long one stands alone. A message to an assistant, though,
begins something new: the assistant's last reply belongs to what was asked before. And a conversation that is relevant
to the question in several places lifts all of its turns. Only candidates count: other turns would add little, and this
way one round trip is enough.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np

from memstream.retriever.ranking.scores import Floats

BEFORE = 1.0
AFTER = 0.2
"""Shares of the scores of the turns before and after that a turn without words would get."""

WORDS = 160.0
"""A turn of so many words gets 1/e of that."""

OTHERS = 3
"""How many of a conversation's other turns count, the best ones."""

_QUANTILE = 0.25
"""This quantile of the candidates' scores counts as zero."""


class TurnColumns(NamedTuple):
    """Candidates' positions in their conversations, their lengths and their own scores, an element for each."""

    conversations: Sequence[str | None]
    times: Sequence[tuple[datetime, datetime]]
    """Sorts the turns of a conversation."""
    words: Floats
    scores: Sequence[float]
    by_assistant: Sequence[bool]


class ContextScores(NamedTuple):
    """What other turns say about each turn, an element for each, on the scale of the turns' own scores."""

    adjacent_turns: Floats
    conversation: Floats
    replied_to: Sequence[int]
    """The index of the turn that each turn replies to; -1 if that is no candidate."""
    reply_shares: Floats
    """The share to which that turn's terms count for the reply: 1 for a reply without words, 0 if there is none."""


def context_scores(turns: TurnColumns) -> ContextScores:
    """Return the context scores of turns, in the order given; 0 for a turn without a conversation."""
    count = len(turns.scores)
    zero = _quantile(turns.scores, _QUANTILE) if count else 0.0
    around = [0.0] * count
    firsts: list[int] = []
    seconds: list[int] = []
    for conversation in _with_several_turns(turns.conversations):
        conversation.sort(key=turns.times.__getitem__)
        firsts += conversation[:-1]
        seconds += conversation[1:]
        _add_conversation(around, conversation, turns.scores, zero)
    by_assistant = np.asarray(turns.by_assistant, np.bool_)
    earlier, later = np.asarray(firsts, np.intp), np.asarray(seconds, np.intp)
    replies = by_assistant[later] | ~by_assistant[earlier]
    earlier, later = earlier[replies], later[replies]
    above = np.asarray(turns.scores, np.float64) - zero
    shares = np.exp(turns.words / -WORDS)
    near, reply_shares, replied_to = np.zeros(count), np.zeros(count), np.full(count, -1)
    replied_to[later], reply_shares[later] = earlier, shares[later]
    # Each turn is at most once the later one of a pair, and at most once the earlier one.
    near[later] += BEFORE * shares[later] * above[earlier]
    near[earlier] += AFTER * shares[earlier] * above[later]
    return ContextScores(near, np.asarray(around), replied_to.tolist(), reply_shares)


def _with_several_turns(conversations: Sequence[str | None]) -> list[list[int]]:
    """Return the indices of the turns of each conversation that has more than one."""
    indices: dict[str, list[int]] = {}
    for index, conversation in enumerate(conversations):
        if conversation is not None:
            indices.setdefault(conversation, []).append(index)
    return [several for several in indices.values() if len(several) > 1]


def _add_conversation(around: list[float], conversation: Sequence[int], scores: Sequence[float], zero: float) -> None:
    """Set for each turn of a conversation the mean score of the best of its other turns."""
    best = sorted(conversation, key=scores.__getitem__, reverse=True)[: OTHERS + 1]
    top = [scores[index] for index in best]
    # For every turn that is none of the best, the others are the same.
    usual = sum(top[:OTHERS]) / len(top[:OTHERS]) - zero
    for index in conversation:
        around[index] = usual
    total, others = sum(top), len(top) - 1
    for index in best[:OTHERS]:
        around[index] = (total - scores[index]) / others - zero


def _quantile(values: Sequence[float], share: float) -> float:
    """Return a quantile, interpolated linearly. For so few values this is quicker than numpy's."""
    ranked = sorted(values)
    below, part = divmod(share * (len(ranked) - 1), 1)
    low, high = ranked[int(below)], ranked[min(int(below) + 1, len(ranked) - 1)]
    return low + (high - low) * part
