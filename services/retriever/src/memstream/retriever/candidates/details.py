"""What an answer shows of its hits beyond what found them, for all of them in one further round trip.

There are more round trips where much is asked for, so that what is read at once is bounded.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from memstream.retriever.candidates.hits import SearchHit
from memstream.runtime.errors import Invalid
from memstream.vectors.store import FirstChunks, MemoryStore, Neighbours, Owner, StoredMessage, Turns

_FIRST_CHUNKS = 40
"""First chunks of one round trip: each has the whole text of a message, 64 KiB at the most. As JSON it may be six times
as long, and an answer of more than 16 MiB is not read."""
_NEIGHBOURS = 100
"""Hits of one round trip whose neighbours are asked for, by four queries each, if one neighbour is asked for on either
side; else so many fewer."""


async def add_details(
    store: MemoryStore, found: Sequence[tuple[SearchHit, int]], most_characters: int
) -> list[SearchHit]:
    """Return hits with their first chunk, where they need it, and with as many turns around them as stands beside each.

    Nothing is asked of the store when there is nothing to add.

    Raises:
        Invalid: their texts have more than `most_characters`.
        Unavailable, GlobalFault, Rejected: as the store says.

    """
    # Several searches of a batch may find the same: it is asked for once, and counts for each hit that shows it.
    wanted = Counter(_name(one) for one, _ in found if one.is_part)
    around = Counter(one for one in (_neighbours(hit, count) for hit, count in found) if one is not None)
    at_once = max(1, _NEIGHBOURS // max((one.count for one in around), default=1))
    firsts: dict[tuple[Owner, str], StoredMessage] = {}
    turns: dict[Neighbours, Turns] = {}
    characters = 0
    names, asked = iter(wanted), iter(around)
    while True:
        chunks, some = list(_first_chunks(islice(names, _FIRST_CHUNKS))), list(islice(asked, at_once))
        if not chunks and not some:
            break
        answers, more = await store.fetch(chunks, some)
        for one, each in zip(chunks, answers, strict=True):
            for message_id, first in each.items():
                name = (one.owner, message_id)
                firsts[name] = first
                characters += wanted[name] * len(first.full_text or "")
        for place, turn in zip(some, more, strict=True):
            turns[place] = turn
            characters += around[place] * sum(len(one.text) for one in (*turn.before, *turn.after))
        if characters > most_characters:
            raise Invalid("limit", f"the answer would have more than {most_characters} characters: ask for fewer hits")
    return [
        replace(
            one,
            first=firsts.get(_name(one)) if one.is_part else None,
            turns=one.turns if (own := _neighbours(one, count)) is None else turns[own],
        )
        for one, count in found
    ]


def _name(found: SearchHit) -> tuple[Owner, str]:
    return found.owner, found.message.message_id


def _first_chunks(names: Iterable[tuple[Owner, str]]) -> Iterator[FirstChunks]:
    """Ask for first chunks, once for each owner."""
    messages: dict[Owner, list[str]] = {}
    for owner, message_id in names:
        messages.setdefault(owner, []).append(message_id)
    for owner, each in messages.items():
        yield FirstChunks(owner, tuple(each))


def _neighbours(found: SearchHit, count: int) -> Neighbours | None:
    conversation_id = found.message.conversation_id
    if count == 0 or conversation_id is None:
        return None
    return Neighbours(found.owner, conversation_id, found.position, count)
