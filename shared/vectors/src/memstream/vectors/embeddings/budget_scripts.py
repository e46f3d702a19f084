"""What the budget does on the Redis server, each in one step. Times are in milliseconds, by the server's clock."""

# How full a bucket is now, and how a call is taken from it. Both scripts need it.
#
# `take` takes from every bucket or from none, and a place if they are limited. It gives the milliseconds to wait, 0
# when taken, and a negative number of them while somebody more urgent waits for a place. A call for which half of the
# bucket is too small goes when there is that much above what it leaves, into debt. Who finds no place leaves a note;
# while it holds, nobody less urgent gets one. It is taken away with the place, and lasts for many looks, since each
# note is a write to the disk.
# ARGV from `at` on: share to leave, places this use may see taken (0 is no limit), name and lifetime of the place, time
# until the next look, lifetime of a note, uses that are more urgent, the use, then for each bucket its name, refill per
# millisecond, capacity, cost.
_COMMON = """
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
local function is_wanted(uses)
  for use in string.gmatch(uses, '%S+') do
    if tonumber(redis.call('HGET', KEYS[1], 'wanted_' .. use) or 0) > now then return true end
  end
  return false
end
local function take(at)
  local wait = (tonumber(redis.call('HGET', KEYS[1], 'closed_until') or 0)) - now
  local places, note = tonumber(ARGV[at + 1]), 'wanted_' .. ARGV[at + 7]
  local noted = tonumber(redis.call('HGET', KEYS[1], note) or 0)
  local outbid = false
  if places > 0 then
    redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
    -- Taken before: only the answer was lost.
    if redis.call('ZSCORE', KEYS[2], ARGV[at + 2]) then return 0 end
    outbid = is_wanted(ARGV[at + 6])
    if outbid or redis.call('ZCARD', KEYS[2]) >= places then
      wait = math.max(wait, tonumber(ARGV[at + 4]))
      local lasts = tonumber(ARGV[at + 5])
      if noted < now + lasts / 2 then
        redis.call('HSET', KEYS[1], note, now + lasts)
        redis.call('PEXPIRE', KEYS[1], ARGV[1])
      end
    end
  end
  local levels = {}
  for i = at + 8, #ARGV, 4 do
    local per_ms, capacity, cost = tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3])
    local left = level(ARGV[i], per_ms, capacity)
    local missing = capacity * tonumber(ARGV[at]) + math.min(cost, capacity / 2) - left
    if missing > 0 then wait = math.max(wait, missing / per_ms) end
    levels[ARGV[i]] = left - cost
  end
  if wait > 0 then return math.max(1, math.ceil(wait)) * (outbid and -1 or 1) end
  for name, left in pairs(levels) do keep(name, left) end
  if places > 0 then
    redis.call('ZADD', KEYS[2], now + tonumber(ARGV[at + 3]), ARGV[at + 2])
    redis.call('PEXPIRE', KEYS[2], ARGV[1])
    if noted > 0 then redis.call('HDEL', KEYS[1], note) end
  end
  return 0
end
"""

# KEYS: the buckets, the places. ARGV: lifetime of what is kept, then what `take` needs.
TAKE = _COMMON + "return take(2)"

# Puts right what was taken by an estimate, and by what the provider says is left; gives the place back. A call that
# waits may be taken in the same step, before anybody else sees the place; gives what `take` gives, or -1 for nobody.
# KEYS: the buckets, the places. ARGV: lifetime, milliseconds to stay away, name of the place, number of buckets, for
# each its name, refill, capacity, units to take yet (they may be negative), and what the provider says is left; then
# nothing, or what `take` needs for the call that waits.
CORRECT = (
    _COMMON
    + """
redis.call('ZREM', KEYS[2], ARGV[3])
local following = 5 + 5 * tonumber(ARGV[4])
for i = 5, following - 1, 5 do
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
return following <= #ARGV and take(following) or -1
"""
)
