"""What is to be forgotten: never stored again, and removed where it was."""

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache

from memstream.contracts import ids, keys
from memstream.contracts.events import UserErased
from memstream.contracts.keys import Seen
from memstream.embedder.work import Order, Work
from memstream.streams.connections import Redis, decoded, redis_faults
from memstream.vectors.store import MemoryStore, Owner, owner_of

_REMEMBERED = 2048
"""Messages whose keys are remembered once they are worked out, for each is looked up twice: those in hand."""


class Forgetting:
    """Knows by the notes in Redis what was deleted, and removes it from Qdrant."""

    def __init__(self, client: Redis, store: MemoryStore) -> None:
        self._client = client
        self._store = store

    async def find(self, works: Sequence[Work]) -> list[bool]:
        """Say of each message whether it was deleted, or its user erased after it was said; in order.

        Raises:
            Unavailable: Redis is out of reach.

        """
        by_partition: defaultdict[int, list[int]] = defaultdict(list)
        for place, work in enumerate(works):
            by_partition[work.delivery.partition].append(place)
        gone = [False] * len(works)
        with redis_faults():
            for places in by_partition.values():
                notes = await self._client.mget([name for place in places for name in _names(works[place])])
                for place, seen, erased in zip(places, notes[::2], notes[1::2], strict=True):
                    gone[place] = _is_gone(works[place], seen, erased)
        return gone

    async def remove(self, works: Sequence[Work]) -> None:
        """Remove what these entries may have stored; what was posted later under the same ids stays.

        Raises:
            Unavailable, GlobalFault, Rejected: they are not removed, or not known to be.

        """
        by_owner: defaultdict[Owner, dict[str, int]] = defaultdict(dict)
        for work in works:
            until = by_owner[owner_of(work.message.tenant, work.message.user_id)]
            message_id = work.message.message_id
            until[message_id] = max(until.get(message_id, 0), work.delivery.milliseconds)
        for owner, until in by_owner.items():
            await self._store.delete_messages(owner, until)

    async def obey(self, order: Order) -> None:
        """Remove what an order names.

        Raises:
            Unavailable, GlobalFault, Rejected: it is not removed, or not known to be.

        """
        event = order.event
        owner = owner_of(event.tenant, event.user_id)
        if isinstance(event, UserErased):
            await self._store.delete_all(owner, order.delivery.milliseconds)
        else:
            await self._store.delete_messages(owner, {event.message_id: order.delivery.milliseconds})


def _names(work: Work) -> tuple[str, str]:
    message = work.message
    return _keys(work.delivery.partition, message.tenant, message.user_id, message.message_id)


@lru_cache(_REMEMBERED)
def _keys(partition: int, tenant: str, user_id: str, message_id: str) -> tuple[str, str]:
    return (
        keys.seen(partition, ids.message_key(tenant, user_id, message_id)),
        keys.erased(partition, ids.owner_key(tenant, user_id)),
    )


def _is_gone(work: Work, seen: object, erased: object) -> bool:
    if erased is not None and keys.was_before(decoded(erased), work.delivery.lane, work.delivery.entry_id):
        return True
    return seen is not None and Seen.parse(decoded(seen)).erasure_id is not None
