"""One budget of requests and tokens a minute for all that call a provider: kept in Redis, shared by every replica.

A budget is a bucket that refills steadily and holds little, so that calls are spread evenly: 97% of the limit, and a
fortieth of it at once, are together less than the limit, also for a provider that counts by fixed minutes.

An operator may also set how many calls the provider takes at once. Each holds a place until it is settled, or until
the provider must have given up on it: a worker that dies gives its places back that way.

Who matters less leaves more in the bucket: questions may empty it, what was just said leaves a quarter, imports leave
half. So while imports take all they can get, a message finds a quarter of the bucket waiting, and a question half.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal
from uuid import uuid4

from memstream.contracts import keys
from memstream.runtime.clock import Clock
from memstream.runtime.errors import Unavailable
from memstream.runtime.streams import Redis, redis_faults
from memstream.vectors.quotas import Quota, Quotas

Use = Literal["query", "live", "bulk"]
"""What a call is for, the most urgent first."""

_LEAVES: dict[Use, float] = {"query": 0.0, "live": 0.25, "bulk": 0.5}
"""Share of the bucket that a call of this use leaves to the more urgent ones."""

_SHARE = 0.97
"""Of the limit."""

_AT_ONCE = 1 / 40
"""Of the limit, in the bucket."""

_FEWEST = 3.0
"""Units in the bucket at the least: one for each use."""

_LONGEST_WAIT = 1.0
"""Seconds until the bucket is looked at again: others may give back what they took too much."""

_LOOK_MS = 5
"""How soon to look again whether a place has become free."""

_KEPT_MS = 600_000

# How full a bucket is now. Both scripts need it.
_LEVEL = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function level(name, per_ms, capacity)
  local kept = redis.call('HMGET', KEYS[1], name, name .. '_at')
  if not kept[1] then return capacity end
  return math.min(capacity, tonumber(kept[1]) + math.max(0, now - tonumber(kept[2])) * per_ms)
end
local function keep(name, left)
  redis.call('HSET', KEYS[1], name, string.format('%.6f', left), name .. '_at', now)
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
"""

# Takes from every bucket or from none. Gives the milliseconds to wait, 0 when taken.
# A call for which half of the bucket is too small goes when there is that much above what it leaves, into debt.
# KEYS: the buckets, the places. ARGV: lifetime, share to leave, places this use may see taken (0 is no limit), name
# and milliseconds of the place, milliseconds until the next look, then for each bucket its name, refill per
# millisecond, capacity, cost.
_TAKE = (
    _LEVEL
    + """
local wait = (tonumber(redis.call('HGET', KEYS[1], 'closed_until') or 0)) - now
local places = tonumber(ARGV[3])
if places > 0 then
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
  if redis.call('ZCARD', KEYS[2]) >= places then wait = math.max(wait, tonumber(ARGV[6])) end
end
local levels = {}
for i = 7, #ARGV, 4 do
  local per_ms, capacity, cost = tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3])
  local left = level(ARGV[i], per_ms, capacity)
  local missing = capacity * tonumber(ARGV[2]) + math.min(cost, capacity / 2) - left
  if missing > 0 then wait = math.max(wait, missing / per_ms) end
  levels[ARGV[i]] = left - cost
end
if wait > 0 then return math.max(1, math.ceil(wait)) end
for name, left in pairs(levels) do keep(name, left) end
if places > 0 then
  redis.call('ZADD', KEYS[2], now + tonumber(ARGV[5]), ARGV[4])
  redis.call('PEXPIRE', KEYS[2], ARGV[1])
end
return 0
"""
)

# Puts right what was taken by an estimate, and by what the provider says is left; gives the place back.
# KEYS: the buckets, the places. ARGV: lifetime, milliseconds to stay away, name of the place, then for each bucket its
# name, refill, capacity, units to take yet (they may be negative), and what the provider says is left.
_CORRECT = (
    _LEVEL
    + """
redis.call('ZREM', KEYS[2], ARGV[3])
for i = 4, #ARGV, 5 do
  local capacity = tonumber(ARGV[i + 2])
  local left = level(ARGV[i], tonumber(ARGV[i + 1]), capacity) - tonumber(ARGV[i + 3])
  keep(ARGV[i], math.min(capacity, left, tonumber(ARGV[i + 4])))
end
local away = tonumber(ARGV[2])
if away > 0 then
  local until_ms = tonumber(redis.call('HGET', KEYS[1], 'closed_until') or 0)
  redis.call('HSET', KEYS[1], 'closed_until', math.max(until_ms, now + away))
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
return 0
"""
)


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits that an operator sets; None leaves it to what the provider says."""

    requests: int | None = None
    """A minute."""
    tokens: int | None = None
    """A minute."""
    calls: int | None = None
    """Under way at once."""


@dataclass(frozen=True, slots=True)
class Charge:
    """What a call was taken for, and its place among those under way."""

    tokens: float
    place: str = ""


class Budget:
    """Lets calls pass as the limits allow. Where no limit is set, and the provider tells of none, all pass at once."""

    def __init__(self, client: Redis, name: str, clock: Clock, limits: Limits, *, call_seconds: float = 60.0) -> None:
        """Make it. No call takes longer than `call_seconds`."""
        self._keys = [keys.budget(name), keys.budget_calls(name)]
        self._call_ms = round(call_seconds * 1000)
        self._given_back = asyncio.Event()
        # One of a kind asks at a time; the others stand behind it.
        self._turns: dict[Use, asyncio.Lock] = {use: asyncio.Lock() for use in _LEAVES}
        self._clock = clock
        self._limits = limits
        self._told: dict[str, float] = {}
        self._take = client.register_script(_TAKE)
        self._correct = client.register_script(_CORRECT)

    @property
    def limited(self) -> bool:
        """There is a limit, set or told."""
        return bool(self._limits.calls) or any(self._per_minute(unit) for unit in ("requests", "tokens"))

    async def take(
        self, use: Use, tokens: float, *, patience: float | None = None, waiting: Callable[[], None] = lambda: None
    ) -> Charge:
        """Wait until a call of about so many tokens may be made; `waiting` is called now and then meanwhile.

        Raises:
            Unavailable: it would take longer than `patience` seconds, or Redis is out of reach.

        """
        if not self.limited:
            return Charge(tokens)
        charge = Charge(tokens, uuid4().hex)
        deadline = None if patience is None else self._clock.monotonic() + patience
        async with self._turns[use]:
            while wait := await self._try(use, charge):
                if deadline is not None and self._clock.monotonic() + wait > deadline:
                    raise Unavailable("the embeddings server", "all that its limits allow is used", wait)
                waiting()
                await self._wait(min(wait, _LONGEST_WAIT))
        return charge

    async def _wait(self, seconds: float) -> None:
        """Wait for so long, or until a call of this process gives its place back."""
        self._given_back.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._given_back.wait()

    async def _try(self, use: Use, charge: Charge) -> float:
        """Take, or give the seconds until that may succeed."""
        calls = self._limits.calls or 0
        # An import leaves one place free.
        places = max(1, calls - 1) if calls and use == "bulk" else calls
        arguments: list[str | int | float] = [_KEPT_MS, _LEAVES[use], places, charge.place, self._call_ms, _LOOK_MS]
        for unit, cost in (("requests", 1.0), ("tokens", charge.tokens)):
            if bucket := self._bucket(unit):
                arguments += [unit, *bucket, cost]
        with redis_faults():
            return int(await self._take(keys=self._keys, args=arguments)) / 1000

    async def correct(
        self, charge: Charge, *, tokens: float | None, quotas: Quotas, retry_after: float | None = None
    ) -> None:
        """Settle a call with what it really took and what the provider said; `retry_after` keeps everybody away.

        Raises:
            Unavailable: Redis is out of reach; the budget is then as it was.

        """
        told: dict[str, Quota | None] = {"requests": quotas.requests, "tokens": quotas.tokens}
        self._told.update({unit: quota.per_minute for unit, quota in told.items() if quota is not None})
        owed = {"requests": 0.0, "tokens": 0.0 if tokens is None else tokens - charge.tokens}
        arguments: list[str | int | float] = [_KEPT_MS, round((retry_after or 0.0) * 1000), charge.place]
        for unit, quota in told.items():
            if bucket := self._bucket(unit):
                arguments += [unit, *bucket, owed[unit], bucket[1] if quota is None else quota.remaining]
        if self.limited or retry_after:
            with redis_faults():
                await self._correct(keys=self._keys, args=arguments)
        if self._limits.calls:
            self._given_back.set()

    def _per_minute(self, unit: str) -> float | None:
        known = (self._limits.requests if unit == "requests" else self._limits.tokens, self._told.get(unit))
        return min((limit for limit in known if limit is not None), default=None)

    def _bucket(self, unit: str) -> tuple[float, float] | None:
        """Give a bucket's refill per millisecond and its capacity; None without a limit."""
        limit = self._per_minute(unit)
        return None if limit is None else (limit * _SHARE / 60_000, max(_FEWEST, limit * _AT_ONCE))
