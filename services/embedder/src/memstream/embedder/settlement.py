"""The one place that acknowledges: what is stored, and what is moved to the dead letters."""

from collections import defaultdict
from collections.abc import Sequence

from memstream.contracts import ids, keys
from memstream.contracts.events import MessageRecorded
from memstream.contracts.keys import Position, Seen
from memstream.embedder.work import Dead, Delivery, Erased, Forgotten, Left, Settled, Stored
from memstream.runtime.clock import Clock
from memstream.streams.connections import Redis, redis_faults

# One step on the server: acknowledge the entry, keep its bytes in the dead letters, and note that with its seen-key.
# An entry that is acknowledged already is left alone, so doing this again adds nothing. Of a message that was deleted
# no letter is kept, and a seen-key that is about another entry is not touched.
# KEYS: stream, dead letters, and as far as the message is known its seen-key and its user's erased-key.
# ARGV: group, entry id, position, lane, then the fields of the dead letter.
_BURY = (
    keys.WAS_BEFORE_LUA
    + """
if redis.call('XACK', KEYS[1], ARGV[1], ARGV[2]) == 0 then return false end
local seen = KEYS[3] and redis.call('GET', KEYS[3])
if seen and seen:find(' deleted ', 1, true) then return false end
local erased = KEYS[4] and redis.call('GET', KEYS[4])
if erased and was_before(erased, ARGV[4], ARGV[2]) then return false end
local id = redis.call('XADD', KEYS[2], '*', unpack(ARGV, 5))
if seen == ARGV[3] then redis.call('SET', KEYS[3], ARGV[3] .. ' dead ' .. id, 'KEEPTTL') end
return id
"""
)


class Settlement:
    """Tells Redis the outcomes."""

    def __init__(self, client: Redis, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._bury = client.register_script(_BURY)

    async def settle(self, outcomes: Sequence[Settled]) -> None:
        """Acknowledge what is stored, bury what is dead, leave what has no outcome. Doing it twice changes nothing.

        Raises:
            Unavailable: Redis is out of reach; some may be settled.

        """
        acknowledged: defaultdict[str, list[str]] = defaultdict(list)
        with redis_faults():
            for settled in outcomes:
                delivery = settled.delivery
                match settled.outcome:
                    case Stored() | Erased():
                        acknowledged[delivery.stream].append(delivery.entry_id)
                    case Dead() as dead:
                        await self._move(delivery, settled.message, dead)
                    case Forgotten(erasure_id):
                        await self._note(delivery, erasure_id)
                        acknowledged[delivery.stream].append(delivery.entry_id)
                    case Left():
                        pass
            async with self._client.pipeline(transaction=False) as pipe:
                for stream, entry_ids in acknowledged.items():
                    pipe.xack(stream, keys.GROUP, *entry_ids)
                await pipe.execute()

    async def _note(self, delivery: Delivery, erasure_id: str) -> None:
        """Complete the receipt, unless it is too old to be kept."""
        name = keys.erasure(delivery.partition, erasure_id)
        if await self._client.exists(name):
            await self._client.hset(name, "done_at", self._clock.now().isoformat())

    async def _move(self, delivery: Delivery, message: MessageRecorded | None, dead: Dead) -> None:
        names = [delivery.stream, keys.dead_letters(delivery.partition)]
        if message is not None:
            key = ids.message_key(message.tenant, message.user_id, message.message_id)
            owner = ids.owner_key(message.tenant, message.user_id)
            names += [keys.seen(delivery.partition, key), keys.erased(delivery.partition, owner)]
        position = Seen(Position(delivery.partition, delivery.lane, delivery.entry_id))
        arguments: list[str | bytes | int] = [keys.GROUP, delivery.entry_id, str(position), delivery.lane]
        letter: dict[str | bytes, str | bytes | int] = {
            "reason": dead.reason,
            "class": dead.dead_class,
            "attempts": delivery.attempts,
            "stream": delivery.stream,
            "entry_id": delivery.entry_id,
            "died_at": self._clock.now().isoformat(),
        }
        # The original fields as they were, so that the message can be put back.
        letter.update({b"original:" + name: value for name, value in delivery.fields.items()})
        for name, value in letter.items():
            arguments += [name, value]
        await self._bury(keys=names, args=arguments)
