"""Deletions of messages and erasures of users: what they name is removed from Qdrant, and never stored again."""

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

from memstream.contracts import ids, keys
from memstream.contracts.events import MessageDeleted, UserErased
from memstream.contracts.keys import Position, Seen
from memstream.embedder.jobs import Deleted, DeletionRequest, EmbeddingJob, Outcome, Pending
from memstream.embedder.retries import Retrier
from memstream.runtime.errors import GlobalFault, Rejected
from memstream.streams.connections import Redis, decoded, redis_faults
from memstream.streams.purge_scripts import NOTE_MESSAGES, CountedArguments, CountedKeys
from memstream.streams.scripts import Scripts
from memstream.vectors.store import DEPENDENCY as QDRANT
from memstream.vectors.store import MemoryStore, Owner

_log = logging.getLogger(__name__)

_CACHED_KEYS = 2048
"""Messages whose keys are cached: those in progress, since some are looked up twice."""


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What is known of the deletion of a message."""

    covers_message: bool = False
    """Whether it was deleted, or its user erased after it was recorded."""
    erased_until: str | None = None
    """The id of the entry that requested the last erasure of its user."""


class Deletions:
    """Finds tombstones in Redis, and removes from Qdrant what was deleted."""

    def __init__(self, client: Redis, store: MemoryStore, retrying: Retrier) -> None:
        self._client = client
        self._store = store
        self._retrying = retrying

    async def find_tombstones(self, jobs: Sequence[EmbeddingJob]) -> list[Tombstone]:
        """Return for each message what is known of its deletion, in order.

        Raises:
            Unavailable: Redis is out of reach.

        """
        by_partition: defaultdict[int, list[int]] = defaultdict(list)
        for index, job in enumerate(jobs):
            by_partition[job.delivery.partition].append(index)
        found = [Tombstone()] * len(jobs)
        with redis_faults():
            for indexes in by_partition.values():
                values = await self._client.mget([name for index in indexes for name in _names(jobs[index])])
                for index, seen, erased in zip(indexes, values[::2], values[1::2], strict=True):
                    found[index] = _tombstone(jobs[index], seen, erased)
        return found

    async def remove(self, jobs: Sequence[EmbeddingJob]) -> None:
        """Remove what these entries may have stored. What was posted later under the same ids stays.

        Raises:
            Unavailable, GlobalFault, Rejected: they are not removed, or not known to be.

        """
        by_owner: defaultdict[Owner, dict[str, Position]] = defaultdict(dict)
        for job in jobs:
            until = by_owner[job.owner]
            message_id = job.message.message_id
            until[message_id] = max(until.get(message_id, job.position), job.position, key=_order)
        for owner, until in by_owner.items():
            await self._store.delete_messages(owner, until)

    async def carry_out(self, requests: Sequence[DeletionRequest]) -> list[Outcome]:
        """Carry out requests of one owner, however long that takes, and return each one's outcome, in order."""
        try:
            await self._retrying.until_success(lambda: self._carry_out_or_blame(requests))
        except Rejected:
            return [outcome for request in requests for outcome in await self.carry_out([request])]
        except Exception as error:  # noqa: BLE001 - the border of what is known; the requests are delivered again
            _log.exception("no outcome for %d requests to delete", len(requests))
            return [Pending(type(error).__name__) for _ in requests]
        return [Deleted(request.event.erasure_id) for request in requests]

    async def _carry_out_or_blame(self, requests: Sequence[DeletionRequest]) -> None:
        try:
            await self._carry_out_once(requests)
        except Rejected as error:
            if len(requests) > 1:
                raise
            # It names points by ids that we make. So what is refused is to delete, and an operator has to permit it.
            raise GlobalFault(QDRANT, error.reason) from error

    async def _carry_out_once(self, requests: Sequence[DeletionRequest]) -> None:
        """Remove what requests of one owner name, in order: neighbouring deletions of messages by one call."""
        owner = requests[0].owner
        for kind, neighbours in groupby(requests, key=lambda request: type(request.event)):
            group = list(neighbours)
            until: dict[str, Position] = {}
            for request in group:
                scope, position = _scope(request.event), request.delivery.position
                until[scope] = max(until.get(scope, position), position, key=_order)
            await self._count(owner, group, until)
            if kind is UserErased:
                await self._store.delete_all(owner, until[""])
            else:
                await self._store.delete_messages(owner, until)

    async def _count(self, owner: Owner, counted: Sequence[DeletionRequest], until: Mapping[str, Position]) -> None:
        """Note in the receipts of requests of one kind how many messages are there to be removed."""
        if isinstance(counted[0].event, UserErased):
            # They are carried out by one call: it is the last that covers all, so that one has the count.
            messages = await self._store.count_messages(owner, until[""])
            counts = [messages if request.delivery.position == until[""] else 0 for request in counted]
        else:
            stored = await self._store.find_messages(owner, until)
            counts = [int(_scope(request.event) in stored) for request in counted]
        calls = [
            NOTE_MESSAGES.call(
                CountedKeys(keys.erasure(request.delivery.partition, request.event.erasure_id)), CountedArguments(count)
            )
            for request, count in zip(counted, counts, strict=True)
        ]
        await Scripts(self._client).run_all(calls)


def _order(position: Position) -> tuple[int, int]:
    return position.order


def _scope(event: MessageDeleted | UserErased) -> str:
    return event.message_id if isinstance(event, MessageDeleted) else ""


def _names(job: EmbeddingJob) -> tuple[str, str]:
    message = job.message
    return _keys(job.delivery.partition, message.tenant, message.user_id, message.message_id)


@lru_cache(_CACHED_KEYS)
def _keys(partition: int, tenant: str, user_id: str, message_id: str) -> tuple[str, str]:
    return (
        keys.seen(partition, ids.message_key(tenant, user_id, message_id)),
        keys.erased(partition, ids.owner_key(tenant, user_id)),
    )


def _tombstone(job: EmbeddingJob, seen: object, erased: object) -> Tombstone:
    mark = None if erased is None else decoded(erased)
    is_erased = mark is not None and keys.was_before(mark, job.delivery.entry_id)
    is_deleted = seen is not None and Seen.parse(decoded(seen)).erasure_id is not None
    return Tombstone(is_erased or is_deleted, mark)
