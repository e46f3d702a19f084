"""What the quotas of tenants do in one step on the server. Times are in milliseconds, by the server's clock."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from memstream.streams.scripts import Script


class BucketKeys(NamedTuple):
    """The hash that holds a token bucket."""

    bucket: str


@dataclass(frozen=True, slots=True)
class SliceArguments:
    """Permits that are wanted of a bucket."""

    per_ms: float
    """Refill."""
    capacity: float
    wanted: int
    at_least: int
    """With fewer than these, none is given."""


class Taken(NamedTuple):
    """How many permits were given, and after how long there are `at_least` so many."""

    permits: int
    wait_ms: int
    """0 if as many were given as were wanted."""


def _taken(answer: Any) -> Taken:  # noqa: ANN401 - as the server sent it
    permits, wait_ms = answer
    return Taken(int(permits), int(wait_ms))


# Takes as many permits from a bucket as are wanted and there. A bucket that is not kept is full. `at_least` is no more
# than the capacity: else it would never be there.
TAKE_SLICE: Script[BucketKeys, SliceArguments, Taken] = Script(
    """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local per_ms, capacity = arguments.per_ms, arguments.capacity
local kept = redis.call('HMGET', KEYS[1], 'level', 'at')
local level = capacity
if kept[1] then
  -- The server's clock may be set back, and the rate may have been another.
  level = math.min(capacity, tonumber(kept[1]) + math.max(0, now - tonumber(kept[2])) * per_ms)
end
local permits = math.min(arguments.wanted, math.floor(level))
if permits < arguments.at_least then permits = 0 end
level = level - permits
redis.call('HSET', KEYS[1], 'level', string.format('%.9f', level), 'at', now)
redis.call('PEXPIRE', KEYS[1], math.ceil(capacity / per_ms) + 1000)
if permits == arguments.wanted then return {permits, 0} end
return {permits, math.max(1, math.ceil((arguments.at_least - level) / per_ms))}
""",
    _taken,
)


class ExpiryKeys(NamedTuple):
    """The key that holds a message's `expires_at`."""

    expiry: str


@dataclass(frozen=True, slots=True)
class ExpiryArguments:
    """When a message ends."""

    expires_at: str | None
    lifetime: int
    """Of the note, in seconds."""
    replaces: bool = False
    """It is of a new version of the message."""


# Notes when a message ends. A repeated message changes nothing, a new version does.
NOTE_EXPIRY: Script[ExpiryKeys, ExpiryArguments, bool] = Script(
    """
if arguments.replaces then redis.call('DEL', KEYS[1]) end
if arguments.expires_at == cjson.null then return 0 end
return redis.call('SET', KEYS[1], arguments.expires_at, 'NX', 'EX', arguments.lifetime) and 1 or 0
""",
    bool,
)
"""Runs beside the append; if only that succeeds, the state of an expired message stays `stored`."""
