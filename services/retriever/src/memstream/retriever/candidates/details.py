"""What an answer shows of its hits beyond what found them, for all of them in one further round trip."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from memstream.retriever.candidates.hits import SearchHit
from memstream.vectors.store import FirstChunks, MemoryStore, Neighbours, Owner


async def add_details(store: MemoryStore, found: Sequence[tuple[SearchHit, int]]) -> list[SearchHit]:
    """Return hits with their first chunk, where they need it, and with as many turns around them as stands beside each.

    Nothing is asked of the store when there is nothing to add.

    Raises:
        Unavailable, GlobalFault, Rejected: as the store says.

    """
    asked = list(_first_chunks([one for one, _ in found]))
    around = [one for one in (_neighbours(hit, count) for hit, count in found) if one is not None]
    if not asked and not around:
        return [one for one, _ in found]
    answers, turns = await store.fetch(asked, around)
    firsts = {
        (one.owner, name): first for one, each in zip(asked, answers, strict=True) for name, first in each.items()
    }
    rest = iter(turns)
    return [
        replace(
            one,
            first=firsts.get((one.owner, one.message.message_id)) if one.is_later_chunk else None,
            turns=one.turns if _neighbours(one, count) is None else next(rest),
        )
        for one, count in found
    ]


def _first_chunks(found: Sequence[SearchHit]) -> Iterator[FirstChunks]:
    """Ask for first chunks, once for each owner."""
    names: dict[Owner, dict[str, None]] = {}
    for one in found:
        if one.is_later_chunk:
            names.setdefault(one.owner, {})[one.message.message_id] = None
    for owner, each in names.items():
        yield FirstChunks(owner, tuple(each))


def _neighbours(found: SearchHit, count: int) -> Neighbours | None:
    conversation_id = found.message.conversation_id
    if count == 0 or conversation_id is None:
        return None
    return Neighbours(found.owner, conversation_id, found.position, count)
