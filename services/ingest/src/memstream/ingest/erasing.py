"""Requests to forget: what is not to come back is noted and the order put on the stream, in one step."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from memstream.contracts import ids, keys
from memstream.contracts.events import MessageDeleted, UserErased
from memstream.contracts.keys import Position
from memstream.contracts.messages import Erasure
from memstream.ingest.durability import Durability
from memstream.streams import groups
from memstream.streams.connections import Redis, decoded, redis_faults

# Asking again answers with the first request. But a note of before its user was erased counts as none, as it does when
# a message is appended: without one of its own, this request would not hold for what is posted under the id later.
# KEYS: stream, seen-key, erasure, the user's erased-key.
# ARGV: lifetime in seconds, "partition.lane.", type, data, erasure id, tenant, time.
_FORGET_MESSAGE = (
    keys.WAS_BEFORE_LUA
    + """
local known = redis.call('GET', KEYS[2])
local erased = known and redis.call('GET', KEYS[4])
if erased then
  local lane, id = known:match('%.(%a+)%.(%d+%-%d+)')
  if was_before(erased, lane, id) then known = false end
end
local earlier = known and known:match(' deleted (%S+)$')
if earlier then return earlier end
local position = ARGV[2] .. redis.call('XADD', KEYS[1], '*', 'type', ARGV[3], 'data', ARGV[4])
redis.call('SET', KEYS[2], (known and known:match('^%S+') or position) .. ' deleted ' .. ARGV[5], 'EX', ARGV[1])
redis.call('HSET', KEYS[3], 'scope', 'message', 'tenant', ARGV[6], 'requested_at', ARGV[7], 'position', position)
redis.call('EXPIRE', KEYS[3], ARGV[1])
return ARGV[5]
"""
)

# KEYS: stream, the user's erased-key, erasure. ARGV: as above.
_FORGET_USER = """
local id = redis.call('XADD', KEYS[1], '*', 'type', ARGV[3], 'data', ARGV[4])
redis.call('SET', KEYS[2], id, 'EX', ARGV[1])
redis.call('HSET', KEYS[3], 'scope', 'user', 'tenant', ARGV[6], 'requested_at', ARGV[7], 'position', ARGV[2] .. id)
redis.call('EXPIRE', KEYS[3], ARGV[1])
return ARGV[5]
"""

_SEPARATOR = "-"


@dataclass(frozen=True, slots=True)
class Request:
    """Who asks to have what forgotten; without a message id, all that the user said until now."""

    tenant: str
    user_id: str
    message_id: str | None
    now: datetime


class Erasing:
    """Puts requests to forget on the streams, and tells what became of them.

    For `lifetime` seconds nothing brings it back: no redelivery, no repeat, no entry in a worker's hands.
    """

    def __init__(self, client: Redis, durability: Durability, *, partitions: int, lifetime: int) -> None:
        self._client = client
        self._durability = durability
        self._partitions = partitions
        self._lifetime = lifetime

    async def request(self, request: Request, name: str) -> str:
        """Append a request durably, and give its id: `name`, or that of an earlier request for the same message.

        Raises:
            Unavailable: Redis is out of reach. Asking again does no harm.

        """
        partition = ids.partition(request.tenant, request.user_id, self._partitions)
        erasure_id = f"{partition}{_SEPARATOR}{name}"
        script, (target, *looked_at), event = _order(request, partition, erasure_id)
        names = [keys.stream(partition, "live"), target, keys.erasure(partition, erasure_id), *looked_at]
        arguments: Sequence[str | int] = [
            self._lifetime,
            f"{partition}.live.",
            event.type,
            event.model_dump_json(),
            erasure_id,
            request.tenant,
            request.now.isoformat(),
        ]
        with redis_faults():
            async with self._client.pipeline(transaction=False) as pipe:
                pipe.eval(script, len(names), *names, *arguments)
                answers = await self._durability.execute(pipe)
        return decoded(answers[0])

    async def receipt(self, erasure_id: str, tenant: str) -> Erasure | None:
        """Say what became of a request; None for one that isn't this tenant's, or too old.

        Raises:
            Unavailable: Redis is out of reach, or the group is gone.

        """
        partition, _, _ = erasure_id.partition(_SEPARATOR)
        if not (partition.isascii() and partition.isdigit() and int(partition) < self._partitions):
            return None
        name = keys.erasure(int(partition), erasure_id)
        with redis_faults():
            first = {decoded(field): decoded(value) for field, value in (await self._client.hgetall(name)).items()}
        if first.get("tenant") != tenant:
            return None
        (handled,) = await groups.are_done(self._client, [Position.parse(first["position"])])
        with redis_faults():
            # Read after the question above: it is noted as done before it is acknowledged.
            done_at = await self._client.hget(name, "done_at")
        return Erasure.model_validate(
            {
                "erasure_id": erasure_id,
                "scope": first["scope"],
                "state": "done" if done_at else "failed" if handled else "pending",
                "requested_at": first["requested_at"],
                "done_at": decoded(done_at) if done_at else None,
            }
        )


def _order(request: Request, partition: int, erasure_id: str) -> tuple[str, Sequence[str], MessageDeleted | UserErased]:
    """Choose the script, the keys it notes the request in and looks at, and the event."""
    erased = keys.erased(partition, ids.owner_key(request.tenant, request.user_id))
    if request.message_id is None:
        return (
            _FORGET_USER,
            [erased],
            UserErased(tenant=request.tenant, user_id=request.user_id, erasure_id=erasure_id, erased_at=request.now),
        )
    return (
        _FORGET_MESSAGE,
        [keys.seen(partition, ids.message_key(request.tenant, request.user_id, request.message_id)), erased],
        MessageDeleted(
            tenant=request.tenant,
            user_id=request.user_id,
            message_id=request.message_id,
            erasure_id=erasure_id,
            deleted_at=request.now,
        ),
    )
