"""The turns around a message in its conversation: what to ask for them, and the answers read. Pure.

The nearest turns of another time are found by their time, those of the same time by when they were recorded: imports
often know no more than the day. Where more turns of one time than are asked for stand at the far end, any of them may
be returned.
"""

from collections.abc import Sequence
from itertools import chain

import msgspec

from memstream.vectors.store.conditions import At, FirstChunk, OneOf
from memstream.vectors.store.expiry import Expiry
from memstream.vectors.store.messages import Record, StoredMessage
from memstream.vectors.store.qdrant.collection import Lookup
from memstream.vectors.store.qdrant.filters import owned
from memstream.vectors.store.qdrant.timeline import TICK
from memstream.vectors.store.queries import Neighbours, TimelinePosition, Turns

LOOKUPS = 4
"""Lookups for the neighbours of one message."""

_WITHOUT = ("full_text", "metadata")
_LONGEST = 2_000
"""Characters of a turn that are kept: an answer has only the beginning of a long one."""


def lookups_for(asked: Neighbours, expiry: Expiry) -> list[Lookup]:
    """Return the lookups that find the turns on either side."""
    position, count = asked.position, asked.count
    conversation = (OneOf("conversation_id", (asked.conversation_id,)), FirstChunk())
    everything = owned(asked.owner, expiry, conversation)
    same_time = owned(asked.owner, expiry, (*conversation, At("occurred_at", position.occurred_at)))
    found = []
    for descending, step in ((True, -TICK), (False, TICK)):
        found += [
            # From the position itself on, which is the one more: another may be recorded at the very same time.
            Lookup(same_time, count + 1, "recorded_at", position.recorded_at, descending, _WITHOUT),
            Lookup(everything, count, "occurred_at", position.occurred_at + step, descending, _WITHOUT),
        ]
    return found


def read_turns(asked: Neighbours, answers: Sequence[Sequence[Record]]) -> Turns:
    """Return the turns on either side, from the answers to their lookups."""
    found = {record.id: _shortened(record.message) for record in chain.from_iterable(answers)}
    turns = sorted(((TimelinePosition.of(name, turn), turn) for name, turn in found.items()), key=lambda one: one[0])
    before = [turn for position, turn in turns if position < asked.position]
    after = [turn for position, turn in turns if position > asked.position]
    return Turns(before[-asked.count :], after[: asked.count])


def _shortened(turn: StoredMessage) -> StoredMessage:
    return turn if len(turn.text) <= _LONGEST else msgspec.structs.replace(turn, text=turn.text[:_LONGEST])
