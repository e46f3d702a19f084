"""The one place that acknowledges: what is stored, and what is moved to the dead letters."""

from collections import defaultdict
from collections.abc import Sequence

from memstream.contracts import ids, keys
from memstream.contracts.events import MessageRecorded, UserErased, decode_event
from memstream.embedder.jobs import Dead, Deleted, Delivery, Expired, Pending, Settled, Stored, Tombstoned
from memstream.embedder.pending_list import PendingList
from memstream.embedder.purges import Purge
from memstream.runtime.clock import Clock
from memstream.streams.connections import Redis, redis_faults
from memstream.streams.dead_letter_scripts import DEAD_LETTER, DeadLetterArguments, DeadLetterKeys
from memstream.streams.scripts import Scripts
from memstream.streams.stream_scripts import COMPLETE_RECEIPT, CompletionArguments, ReceiptKeys


class Settlement:
    """Tells Redis the outcomes."""

    def __init__(self, client: Redis, pending: PendingList, clock: Clock) -> None:
        self._client = client
        self._pending = pending
        self._clock = clock
        self._scripts = Scripts(client)

    async def settle(self, outcomes: Sequence[Settled]) -> None:
        """Acknowledge what is stored, dead-letter what is dead, leave the rest. Doing it twice changes nothing.

        Raises:
            Unavailable: Redis is out of reach; some may be settled.

        """
        acknowledged: defaultdict[str, list[str]] = defaultdict(list)
        uncounted: list[Delivery] = []
        with redis_faults():
            for settled in outcomes:
                delivery = settled.delivery
                match settled.outcome:
                    case Stored() | Tombstoned() | Expired():
                        acknowledged[delivery.stream].append(delivery.entry_id)
                    case Dead() as dead:
                        await self._move(delivery, settled.message, dead)
                    case Deleted(erasure_id):
                        await self._note(delivery, erasure_id)
                        acknowledged[delivery.stream].append(delivery.entry_id)
                    case Pending(is_counted=is_counted):
                        if not is_counted:
                            uncounted.append(delivery)
            await self._pending.renew(uncounted, counted=False)
            async with self._client.pipeline(transaction=False) as pipe:
                for stream, entry_ids in acknowledged.items():
                    pipe.xack(stream, keys.GROUP, *entry_ids)
                await pipe.execute()

    async def _note(self, delivery: Delivery, erasure_id: str) -> None:
        """Ask for what was deleted to be purged from the streams, and complete the receipt, unless it has expired."""
        event = decode_event(delivery.fields[keys.DATA_FIELD.encode()])
        purge = Purge(
            erasure_id=erasure_id,
            tenant=event.tenant,
            user_id=event.user_id,
            message_id=None if isinstance(event, UserErased) else event.message_id,
            mark=delivery.entry_id,
        )
        names = ReceiptKeys(keys.erasure(delivery.partition, erasure_id), keys.purges(delivery.partition))
        arguments = CompletionArguments(erasure_id, self._clock.now().isoformat())
        await self._scripts.run(COMPLETE_RECEIPT.call(names, arguments, [purge.model_dump_json()]))

    async def _move(self, delivery: Delivery, message: MessageRecorded | None, dead: Dead) -> None:
        names = DeadLetterKeys(delivery.stream, keys.dead_letters(delivery.partition))
        if message is not None:
            key = ids.message_key(message.tenant, message.user_id, message.message_id)
            owner = ids.owner_key(message.tenant, message.user_id)
            names = names._replace(
                letters=keys.letters(delivery.partition),
                owner_letters=keys.letters_of(delivery.partition, owner),
                seen=keys.seen(delivery.partition, key),
                erased=keys.erased(delivery.partition, owner),
            )
        arguments = DeadLetterArguments(keys.GROUP, delivery.entry_id, str(delivery.position))
        letter: dict[str | bytes, str | bytes] = {
            "reason": dead.reason,
            "class": dead.dead_class,
            "attempts": str(delivery.attempts),
            "stream": delivery.stream,
            "entry_id": delivery.entry_id,
            "died_at": self._clock.now().isoformat(),
        }
        # The original fields as they were, so that the message can be put back.
        letter.update({b"original:" + name: value for name, value in delivery.fields.items()})
        fields = [part for field in letter.items() for part in field]
        await self._scripts.run(DEAD_LETTER.call(names, arguments, fields))
