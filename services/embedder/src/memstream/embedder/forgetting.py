"""What is to be forgotten: never stored again, and removed where it was."""

from collections import defaultdict
from collections.abc import Sequence

from memstream.contracts import ids, keys
from memstream.contracts.events import UserErased
from memstream.contracts.keys import Seen
from memstream.embedder.work import Order, Work
from memstream.runtime.streams import Redis, decoded, redis_faults
from memstream.vectors.collection import Collection


class Forgetting:
    """Knows by the notes in Redis what was deleted, and removes it from Qdrant."""

    def __init__(self, client: Redis, collection: Collection) -> None:
        self._client = client
        self._collection = collection

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
        """Remove messages from the collection, whether they are there or not.

        Raises:
            Unavailable, GlobalFault, Rejected: they are not removed, or not known to be.

        """
        by_owner: defaultdict[str, set[str]] = defaultdict(set)
        for work in works:
            by_owner[ids.owner(work.message.tenant, work.message.user_id)].add(work.message.message_id)
        for owner, messages in by_owner.items():
            await self._collection.forget_messages(owner, sorted(messages))

    async def obey(self, order: Order) -> None:
        """Remove what an order names.

        Raises:
            Unavailable, GlobalFault, Rejected: it is not removed, or not known to be.

        """
        event = order.event
        owner = ids.owner(event.tenant, event.user_id)
        if isinstance(event, UserErased):
            await self._collection.forget_until(owner, order.delivery.milliseconds)
        else:
            await self._collection.forget_messages(owner, [event.message_id])


def _names(work: Work) -> tuple[str, str]:
    message = work.message
    partition = work.delivery.partition
    return (
        keys.seen(partition, ids.message_key(message.tenant, message.user_id, message.message_id)),
        keys.erased(partition, ids.owner_key(message.tenant, message.user_id)),
    )


def _is_gone(work: Work, seen: object, erased: object) -> bool:
    if erased is not None and work.delivery.milliseconds <= int(decoded(erased)):
        return True
    return seen is not None and Seen.parse(decoded(seen)).erasure_id is not None
