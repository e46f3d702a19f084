"""Requests to delete a message or to erase a user: the tombstone, the event and the receipt are written in one step."""

import json
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from memstream.contracts import ids, keys
from memstream.contracts.events import MessageDeleted, UserErased
from memstream.contracts.keys import Position
from memstream.contracts.messages import Erasure
from memstream.ingest.durability import Durability
from memstream.streams.appending import lane_keys
from memstream.streams.connections import Redis, decoded, redis_faults
from memstream.streams.former_scripts import (
    DELETE_FORMER,
    ERASE_FORMER,
    Former,
    FormerArguments,
    FormerDeletionKeys,
    FormerErasureKeys,
)
from memstream.streams.groups import are_done
from memstream.streams.partitioning import PartitionRecord
from memstream.streams.scripts import ScriptCall, Scripts
from memstream.streams.stream_scripts import (
    DELETE_MESSAGE,
    ERASE_USER,
    DeletionKeys,
    ErasureArguments,
    ErasureKeys,
    UnseenDeletion,
)

_SEPARATOR = "-"

_UNSEEN_LIFETIME = 300
"""Seconds for which the tombstone of an unseen message is kept, and its completed receipt if nothing was there."""

_PENDING_LIFETIME = 24 * 3600
"""Seconds that such a deletion may wait to be carried out without losing its receipt."""

_COUNTS = ("messages", "stream_entries", "dead_letters")
"""Fields of a receipt that are there once there is something to count."""

_NOT_PURGED = [{"store": "streams"}, {"store": "qdrant"}]
"""What waits before anything is purged: whatever there may be."""


@dataclass(frozen=True, slots=True)
class ErasureRequest:
    """A message to delete; without a message id, a user to erase."""

    tenant: str
    user_id: str
    message_id: str | None
    now: datetime


class Erasures:
    """Appends deletions and erasures to the streams, and keeps their receipts.

    For `lifetime` seconds at least, and as long as an entry from before waits to be stored, nothing brings the deleted
    messages back: no redelivery, no repeated post, no entry that a worker holds. Their dead letters go at once.
    """

    def __init__(self, client: Redis, durability: Durability, record: PartitionRecord, *, lifetime: int) -> None:
        self._client = client
        self._scripts = Scripts(client, durability.execute)
        self._record = record
        self._lifetime = lifetime

    async def request(self, request: ErasureRequest, name: str, *, takes_unseen: bool = True) -> str | None:
        """Append a request durably and return its id: `name` with a prefix, or the id of the message's first request.

        Unless `takes_unseen`, return None if it is for a message that was not seen within the dedup window.

        Raises:
            Unavailable: Redis cannot be reached. Repeating the request does no harm.

        """
        partition = ids.partition(request.tenant, request.user_id, self._record.partitioning.partitions)
        erasure_id = f"{partition}{_SEPARATOR}{name}"
        former = self._record.partitioning.former(partition)
        calls = [self._former_call(request, each, erasure_id, takes_unseen=takes_unseen) for each in former]
        found = await self._scripts.run_all(calls) if calls else []
        known = Former(any(each.is_known for each in found), sum(each.dead_letters for each in found))
        (first_id,) = await self._scripts.run_all(
            [self._call(request, partition, erasure_id, known, takes_unseen=takes_unseen)]
        )
        return first_id or None

    def _former_call(
        self, request: ErasureRequest, partition: int, erasure_id: str, *, takes_unseen: bool
    ) -> ScriptCall[Former]:
        owner = ids.owner_key(request.tenant, request.user_id)
        names = FormerErasureKeys(keys.last_entry(partition), *_noted(partition, owner), keys.erased(partition, owner))
        unseen_lifetime = min(self._lifetime, _UNSEEN_LIFETIME) if takes_unseen else 0
        arguments = FormerArguments(erasure_id, f"{partition}.live.", self._lifetime, unseen_lifetime)
        if request.message_id is None:
            return ERASE_FORMER.call(names, arguments)
        seen = keys.seen(partition, ids.message_key(request.tenant, request.user_id, request.message_id))
        return DELETE_FORMER.call(FormerDeletionKeys(*names[:-1], seen, names.erased), arguments)

    def _call(
        self, request: ErasureRequest, partition: int, erasure_id: str, former: Former, *, takes_unseen: bool
    ) -> ScriptCall[str]:
        owner = ids.owner_key(request.tenant, request.user_id)
        names = ErasureKeys(
            lane_keys(partition, "live"),
            keys.erasure(partition, erasure_id),
            *_noted(partition, owner),
            keys.erased(partition, owner),
        )
        event = _event(request, erasure_id)
        arguments = ErasureArguments(
            lifetime=self._lifetime,
            prefix=f"{partition}.live.",
            type=event.type,
            partitions=self._record.partitioning.partitions,
            erasure_id=erasure_id,
            tenant=request.tenant,
            requested_at=request.now.isoformat(),
            unseen=None
            if former.is_known
            else UnseenDeletion(
                not takes_unseen,
                tombstone=min(self._lifetime, _UNSEEN_LIFETIME),
                receipt=min(self._lifetime, _PENDING_LIFETIME),
                completed_receipt=min(self._lifetime, _UNSEEN_LIFETIME),
            ),
            dead_letters=former.dead_letters,
            owner=ids.owner_hex(request.tenant, request.user_id),
        )
        data = [event.model_dump_json()]
        if request.message_id is None:
            return ERASE_USER.call(names, arguments, data)
        seen = keys.seen(partition, ids.message_key(request.tenant, request.user_id, request.message_id))
        return DELETE_MESSAGE.call(DeletionKeys(*names[:-1], seen, names.erased), arguments, data)

    async def receipt(self, erasure_id: str, tenant: str, user_id: str | None = None) -> Erasure | None:
        """Return the state of a request; None if it is not this tenant's and user's, or no longer kept.

        Raises:
            Unavailable: Redis cannot be reached, or the group is missing.

        """
        partition, _, _ = erasure_id.partition(_SEPARATOR)
        if not (partition.isascii() and partition.isdigit() and int(partition) < self._record.partitioning.partitions):
            return None
        name = keys.erasure(int(partition), erasure_id)
        with redis_faults():
            first = {decoded(field): decoded(value) for field, value in (await self._client.hgetall(name)).items()}
        if first.get("tenant") != tenant:
            return None
        if user_id is not None and first.get("owner") != ids.owner_hex(tenant, user_id):
            return None
        (handled,) = await are_done(self._client, [Position.parse(first["position"])])
        with redis_faults():
            # Read after the question above: `done_at` is written before the entry is acknowledged.
            fields = {decoded(field): decoded(value) for field, value in (await self._client.hgetall(name)).items()}
        done_at = fields.get("done_at")
        return Erasure.model_validate(
            {
                **{name: fields[name] for name in _COUNTS if name in fields},
                "erasure_id": erasure_id,
                "scope": first["scope"],
                "state": "done" if done_at else "failed" if handled else "pending",
                "requested_at": first["requested_at"],
                "done_at": done_at,
                "purged_at": fields.get("purged_at"),
                "waiting": json.loads(fields["waiting"]) if "waiting" in fields else _NOT_PURGED,
            }
        )


def _noted(partition: int, owner: UUID) -> tuple[str, str, str, str]:
    """Return the keys that note a partition's tombstones, and its dead letters and a user's."""
    return (
        keys.tombstones(partition),
        keys.dead_letters(partition),
        keys.letters(partition),
        keys.letters_of(partition, owner),
    )


def _event(request: ErasureRequest, erasure_id: str) -> MessageDeleted | UserErased:
    if request.message_id is None:
        return UserErased(tenant=request.tenant, user_id=request.user_id, erasure_id=erasure_id, erased_at=request.now)
    return MessageDeleted(
        tenant=request.tenant,
        user_id=request.user_id,
        message_id=request.message_id,
        erasure_id=erasure_id,
        deleted_at=request.now,
    )
