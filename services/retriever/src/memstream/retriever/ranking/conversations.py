"""What the other turns of a conversation say about each turn. Pure.

"Yes, last Friday!" is relevant to a question because of what was said just before it. So a turn is lifted by the turns
of its conversation that match the question well and were said within minutes of it, wherever they stand. Only
candidates count: other turns would add little, and this way one round trip is enough. How much of the lift a turn gets
is decided where its own words are known: what answers the question by itself needs none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import NamedTuple

import numpy as np

from memstream.retriever.ranking.scores import Floats

MINUTES = 4.0
"""A turn that was said so many minutes before or after counts 1/e of one that was said at the same time."""

OTHERS = 3
"""How many other turns count, the best ones."""

ZERO = 0.5
"""This share of the best candidate's score counts as zero: other turns lift if they match the question well."""

APART = 0.1
"""What a message without other turns around it gets, as a share of what the best candidate gives."""

WORDS = 160.0
"""The terms of the turn it replies to count 1/e for a turn of so many words, and fully for one without words."""

MAX_GIVERS = 64
"""So many candidates at most count for others, the best ones: that bounds the time in long conversations."""

_SECONDS = 60.0 * MINUTES


@dataclass(frozen=True)
class TurnColumns:
    """Candidates' positions in their conversations, their lengths and their own scores, an element for each."""

    conversations: Sequence[str | None]
    times: Sequence[tuple[datetime, datetime]]
    """Sorts the turns of a conversation; the first is when it was said."""
    words: Floats
    scores: Floats
    by_assistant: Sequence[bool]

    @cached_property
    def with_several_turns(self) -> Sequence[Sequence[int]]:
        """The indices of the turns of each conversation that has more than one."""
        indices: dict[str, list[int]] = {}
        for index, conversation in enumerate(self.conversations):
            if conversation is not None:
                indices.setdefault(conversation, []).append(index)
        return [several for several in indices.values() if len(several) > 1]


class Replies(NamedTuple):
    """Which turn each turn replies to, an element for each."""

    replied_to: Sequence[int]
    """The index of that turn; -1 if it is no candidate."""
    shares: Floats
    """The share to which that turn's terms count for the reply: 1 for a reply without words, 0 if there is none."""


def surroundings(turns: TurnColumns) -> Floats:
    """Return for each turn what the other turns of its conversation give it, on the scale of their scores."""
    count = len(turns.scores)
    best = float(turns.scores.max(initial=0.0))
    excess = turns.scores - ZERO * best
    givers = np.flatnonzero(excess > 0.0)
    if len(givers) > MAX_GIVERS:
        givers = givers[np.argpartition(excess[givers], -MAX_GIVERS)[-MAX_GIVERS:]]
    conversation = np.full(count, -1)
    for number, several in enumerate(turns.with_several_turns):
        conversation[several] = number
    seconds = np.array([said.timestamp() for said, _ in turns.times])
    given = np.exp(np.abs(seconds[:, None] - seconds[givers]) / -_SECONDS) * excess[givers]
    given[conversation[:, None] != conversation[givers]] = 0.0
    given[givers, np.arange(len(givers))] = 0.0
    if len(givers) > OTHERS:
        given = np.partition(given, -OTHERS, axis=1)[:, -OTHERS:]
    found: Floats = given.sum(axis=1) / OTHERS
    found[conversation < 0] = APART * (1.0 - ZERO) * best
    return found


def replies(turns: TurnColumns) -> Replies:
    """Return which turn each turn replies to: the one before it, but not an assistant's if a user says something.

    A message to an assistant begins something new: the assistant's last reply belongs to what was asked before.
    """
    count = len(turns.scores)
    firsts: list[int] = []
    seconds: list[int] = []
    for conversation in turns.with_several_turns:
        ordered = sorted(conversation, key=turns.times.__getitem__)
        firsts += ordered[:-1]
        seconds += ordered[1:]
    by_assistant = np.asarray(turns.by_assistant, np.bool_)
    earlier, later = np.asarray(firsts, np.intp), np.asarray(seconds, np.intp)
    is_reply = by_assistant[later] | ~by_assistant[earlier]
    earlier, later = earlier[is_reply], later[is_reply]
    shares, replied_to = np.zeros(count), np.full(count, -1)
    replied_to[later], shares[later] = earlier, np.exp(turns.words[later] / -WORDS)
    return Replies(replied_to.tolist(), shares)
