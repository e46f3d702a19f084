"""What a provider's budget does in one step on the server. Times are in milliseconds, by the server's clock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from memstream.streams.scripts import Script


class BudgetKeys(NamedTuple):
    """The hash of the buckets, and the sorted set of the permits that are held."""

    buckets: str
    permits: str


@dataclass(frozen=True, slots=True)
class BucketCharge:
    """What a call costs of one bucket."""

    name: str
    per_ms: float
    """Refill."""
    capacity: float
    cost: float


@dataclass(frozen=True, slots=True)
class TakeArguments:
    """A call to the provider that wants to be made."""

    lifetime: int
    """Of what is kept in Redis."""
    use: str
    more_urgent: Sequence[str]
    """Uses that go first."""
    headroom: float
    """Share of each bucket that is left to more urgent uses."""
    floor: float
    """Share of each bucket's refill that this use gets whatever the others take."""
    permit: str
    """Name of the permit."""
    permits: int
    """How many may be held when this use asks; 0 is no limit."""
    all_permits: int
    """How many may be held when this use asks that is below its floor."""
    permit_floors: Mapping[str, int]
    """How many permits each use gets whatever the others hold."""
    starving_after: int
    """How long a use waits before the others step back for its floor."""
    permit_lifetime: int
    retry_after: int
    """Until it is worth asking again when all permits are held."""
    waiter_mark_lifetime: int
    """Of the mark that this use waits for a permit."""
    buckets: Sequence[BucketCharge]


@dataclass(frozen=True, slots=True)
class BucketCorrection:
    """What is now known about one bucket."""

    name: str
    per_ms: float
    capacity: float
    owed: float
    """Units still to be taken; negative if too many were."""
    remaining: float
    """What is left at most: what the provider said, or the capacity."""


@dataclass(frozen=True, slots=True)
class CorrectArguments:
    """A call to the provider that has ended."""

    lifetime: int
    permit: str
    retry_after: int
    """How long nobody may call; 0 is no time."""
    buckets: Sequence[BucketCorrection]
    following: TakeArguments | None = None
    """A call that waits, to be taken in the same step."""


# How full a bucket is now, and how a call is taken from it. Both scripts need it.
#
# `take` takes from every bucket or from none, and a permit if those are limited. It returns 0 when the call was taken,
# else the milliseconds to wait, as a negative number while a more urgent use waits for a permit. A call that costs more
# than half of a bucket may go when half of the bucket is there above the headroom; the bucket is then in debt. A use
# that finds no permit leaves a mark. While the mark holds, no less urgent use gets a permit. The mark is removed when
# the permit is taken. It holds for many retries, since each mark is a write to the disk.
#
# Each use has a floor: a small bucket of its own, which refills at a share of the rate from when it is first needed.
# What it holds may be taken whatever is left in the large one. Of the permits, a use that holds fewer than its floor
# and has waited for a while goes before all others. The use is the first part of a permit's name.
_BUCKETS = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local buckets_key, permits_key = KEYS[1], KEYS[2]
local function level(name, per_ms, capacity)
  local kept = redis.call('HMGET', buckets_key, name, name .. '_at')
  if not kept[1] then return capacity end
  return math.min(capacity, tonumber(kept[1]) + math.max(0, now - tonumber(kept[2])) * per_ms)
end
local function keep(name, left)
  redis.call('HSET', buckets_key, name, string.format('%.6f', left), name .. '_at', now)
  redis.call('PEXPIRE', buckets_key, arguments.lifetime)
end
local function is_waiting(uses)
  for _, use in ipairs(uses) do
    if tonumber(redis.call('HGET', buckets_key, 'wanted_' .. use) or 0) > now then return true end
  end
  return false
end
local function is_starving(call, use, held)
  if tonumber(redis.call('HGET', buckets_key, 'wanted_' .. use) or 0) <= now then return false end
  local since = tonumber(redis.call('HGET', buckets_key, 'since_' .. use) or now)
  return now - since >= call.starving_after and (held[use] or 0) < call.permit_floors[use]
end
local function take(call)
  local wait = tonumber(redis.call('HGET', buckets_key, 'closed_until') or 0) - now
  local waiter_mark = 'wanted_' .. call.use
  local marked_until = tonumber(redis.call('HGET', buckets_key, waiter_mark) or 0)
  local preempted = false
  if call.permits > 0 then
    redis.call('ZREMRANGEBYSCORE', permits_key, '-inf', now)
    -- Taken before: only the answer was lost.
    if redis.call('ZSCORE', permits_key, call.permit) then return 0 end
    local held, permits = {}, call.permits
    for _, name in ipairs(redis.call('ZRANGE', permits_key, 0, -1)) do
      local use = name:match('^%a+') or ''
      held[use] = (held[use] or 0) + 1
    end
    if is_starving(call, call.use, held) then
      permits = call.all_permits
    else
      preempted = is_waiting(call.more_urgent)
      for use in pairs(call.permit_floors) do
        preempted = preempted or (use ~= call.use and is_starving(call, use, held))
      end
    end
    if preempted or redis.call('ZCARD', permits_key) >= permits then
      wait = math.max(wait, call.retry_after)
      if marked_until <= now then redis.call('HSET', buckets_key, 'since_' .. call.use, now) end
      if marked_until < now + call.waiter_mark_lifetime / 2 then
        redis.call('HSET', buckets_key, waiter_mark, now + call.waiter_mark_lifetime)
        redis.call('PEXPIRE', buckets_key, arguments.lifetime)
      end
    end
  end
  local levels = {}
  for _, bucket in ipairs(call.buckets) do
    local left = level(bucket.name, bucket.per_ms, bucket.capacity)
    local missing = bucket.capacity * call.headroom + math.min(bucket.cost, bucket.capacity / 2) - left
    local own, own_per_ms = bucket.name .. '_' .. call.use, bucket.per_ms * call.floor
    local own_capacity = bucket.capacity * call.floor / 4
    local own_left = 0
    if redis.call('HEXISTS', buckets_key, own) == 1 then
      own_left = level(own, own_per_ms, own_capacity)
    elseif missing > 0 then
      keep(own, 0)
    end
    if missing > 0 then
      local own_missing = math.min(bucket.cost, own_capacity) - own_left
      wait = math.max(wait, math.min(missing / bucket.per_ms, own_missing / own_per_ms))
      levels[own] = own_left - bucket.cost
    else
      levels[own] = math.min(own_left, math.max(0, own_left - bucket.cost))
    end
    levels[bucket.name] = left - bucket.cost
  end
  if wait > 0 then return math.max(1, math.ceil(wait)) * (preempted and -1 or 1) end
  for name, left in pairs(levels) do keep(name, left) end
  if call.permits > 0 then
    redis.call('ZADD', permits_key, now + call.permit_lifetime, call.permit)
    redis.call('PEXPIRE', permits_key, arguments.lifetime)
    if marked_until > 0 then redis.call('HDEL', buckets_key, waiter_mark, 'since_' .. call.use) end
  end
  return 0
end
"""

TAKE: Script[BudgetKeys, TakeArguments, int] = Script(_BUCKETS + "return take(arguments)", int, vital=True)

# Corrects what was taken by an estimate, also by what the provider says is left, and returns the permit. A call that
# waits may be taken in the same step, before anybody else sees the permit. Returns what `take` returns, or -1 if no
# call waits.
CORRECT: Script[BudgetKeys, CorrectArguments, int] = Script(
    _BUCKETS
    + """
redis.call('ZREM', permits_key, arguments.permit)
for _, bucket in ipairs(arguments.buckets) do
  local left = level(bucket.name, bucket.per_ms, bucket.capacity) - bucket.owed
  keep(bucket.name, math.min(bucket.capacity, left, bucket.remaining))
end
if arguments.retry_after > 0 then
  local closed_until = tonumber(redis.call('HGET', buckets_key, 'closed_until') or 0)
  redis.call('HSET', buckets_key, 'closed_until', math.max(closed_until, now + arguments.retry_after))
  redis.call('PEXPIRE', buckets_key, arguments.lifetime)
end
return arguments.following ~= cjson.null and take(arguments.following) or -1
""",
    int,
    vital=True,
)
