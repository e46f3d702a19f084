"""What an answer shows of its hits beyond what found them, for all of them in one further round trip.

There are more round trips where much is asked for, so that what is read at once is bounded.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

from memstream.retriever.candidates.hits import SearchHit
from memstream.runtime.errors import Invalid
from memstream.vectors.store import FirstChunks, MemoryStore, Neighbours, Owner, StoredMessage, Turns

_FIRST_CHUNKS = 50
"""First chunks of one round trip: each has the whole text of a message, 64 KiB at the most."""
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
    wanted = [one for one, _ in found if one.is_part]
    around = [one for one in (_neighbours(hit, count) for hit, count in found) if one is not None]
    if not wanted and not around:
        return [one for one, _ in found]
    firsts: dict[tuple[Owner, str], StoredMessage] = {}
    turns: list[Turns] = []
    characters = 0
    hits, asked = iter(wanted), iter(around)
    while True:
        chunks = list(_first_chunks(islice(hits, _FIRST_CHUNKS)))
        some = list(islice(asked, max(1, _NEIGHBOURS // max((one.count for one in around), default=1))))
        if not chunks and not some:
            break
        answers, more = await store.fetch(chunks, some)
        for one, each in zip(chunks, answers, strict=True):
            firsts |= {(one.owner, name): first for name, first in each.items()}
        turns += more
        characters += sum(len(first.full_text or "") for each in answers for first in each.values())
        characters += sum(len(turn.text) for each in more for turn in (*each.before, *each.after))
        if characters > most_characters:
            raise Invalid("limit", f"the answer would have more than {most_characters} characters: ask for fewer hits")
    rest = iter(turns)
    return [
        replace(
            one,
            first=firsts.get((one.owner, one.message.message_id)) if one.is_part else None,
            turns=one.turns if _neighbours(one, count) is None else next(rest),
        )
        for one, count in found
    ]


def _first_chunks(found: Iterator[SearchHit]) -> Iterator[FirstChunks]:
    """Ask for first chunks, once for each owner."""
    names: dict[Owner, dict[str, None]] = {}
    for one in found:
        names.setdefault(one.owner, {})[one.message.message_id] = None
    for owner, each in names.items():
        yield FirstChunks(owner, tuple(each))


def _neighbours(found: SearchHit, count: int) -> Neighbours | None:
    conversation_id = found.message.conversation_id
    if count == 0 or conversation_id is None:
        return None
    return Neighbours(found.owner, conversation_id, found.position, count)
