"""The turns around a message in its conversation: what to ask for them, and how to read the answers. Pure.

The nearest turns of another time are found by their time, those of the same time by when they were recorded: imports
often know no more than the day. Where more turns of one time than are asked for stand at the far end, any of them may
be given.
"""

from collections.abc import Sequence
from itertools import chain

from qdrant_client import models

from memstream.retriever.timeline.places import FIRST_CHUNKS, TICK, Place, equals
from memstream.vectors.lookups import Lookup, Order, Record

LOOKUPS = 4
"""Questions for the surroundings of one message."""

_LEAVE_OUT = ("full_text", "metadata")


def lookups_around(owner: str, conversation_id: str, place: Place, count: int) -> list[Lookup]:
    """Ask for up to `count` turns before a place in a conversation, and after it."""
    conversation = models.FieldCondition(key="conversation_id", match=models.MatchValue(value=conversation_id))
    everything = models.Filter(must=[conversation, FIRST_CHUNKS])
    beside = models.Filter(must=[conversation, FIRST_CHUNKS, equals("occurred_at", place.occurred_at)])
    found = []
    for descending, step in ((True, -TICK), (False, TICK)):
        there = Order("occurred_at", place.occurred_at + step, descending)
        # From the place itself on, which is the one more: another may be recorded at the very same time.
        here = Order("recorded_at", place.recorded_at, descending)
        found += [
            Lookup(owner, beside, count + 1, here, _LEAVE_OUT),
            Lookup(owner, everything, count, there, _LEAVE_OUT),
        ]
    return found


def read_around(place: Place, answers: Sequence[Sequence[Record]], count: int) -> tuple[list[Record], list[Record]]:
    """Give the turns before a place and those after it, in their order, from the answers to its lookups."""
    turns = {record.id: record for record in chain.from_iterable(answers)}
    places = sorted(((Place.of(name, record.payload), record) for name, record in turns.items()), key=lambda p: p[0])
    before = [record for other, record in places if other < place]
    after = [record for other, record in places if other > place]
    return before[-count:], after[:count]
