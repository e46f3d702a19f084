"""How scripts append to a partition's streams.

The ids of entries have one order over both lanes, whatever the clocks do. A process that does not know how many
partitions there are appends nothing.
"""

from memstream.contracts import keys
from memstream.contracts.keys import LANES, Lane

APPENDING = """
-- Opens a stream to append to, for a process that was told this number of partitions; nil is not asked about. Answers
-- with two functions, or with an error if the installation has another number.
-- The id of each entry is greater than all before it in both lanes: that of the last one is kept, since the clock may
-- be set back, or be another machine's. Where none is kept, or a release that keeps none has appended something, the
-- streams know it.
local function open_stream(partitions)
  local kept = redis.call('MGET', KEYS[3], KEYS[4])
  local present = partitions and kept[2] and kept[2]:match('%d+$')
  if present and tonumber(present) ~= partitions then
    return nil, nil, redis.error_reply(
      string.format('PARTITIONS is %d, and this installation has %s', partitions, present))
  end
  local time, ms, seq = redis.call('TIME'), -1, 0
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local function note(id)
    local id_ms, id_seq = id:match('^(%d+)-(%d+)$')
    id_ms, id_seq = tonumber(id_ms), tonumber(id_seq)
    if id_ms > ms or id_ms == ms and id_seq > seq then ms, seq = id_ms, id_seq end
  end
  local function look()
    for i = 1, 2 do
      local info = redis.pcall('XINFO', 'STREAM', KEYS[i])
      for j = 1, #info, 2 do
        if info[j] == 'last-generated-id' then note(info[j + 1]) end
      end
    end
  end
  if kept[1] then note(kept[1]) else look() end
  local id
  local function append(...)
    if now > ms then ms, seq = now, 0 else seq = seq + 1 end
    id = string.format('%.0f-%.0f', ms, seq)
    local answer = redis.pcall('XADD', KEYS[1], id, ...)
    if type(answer) == 'table' then
      look()
      seq = seq + 1
      id = string.format('%.0f-%.0f', ms, seq)
      redis.call('XADD', KEYS[1], id, ...)
    end
    return id
  end
  local function close()
    if id then redis.call('SET', KEYS[3], id) end
  end
  return append, close
end
"""
"""Stands before each script that appends to a stream. The first keys of such a script are those of `lane_keys`."""

LANE_KEYS = 4


def lane_keys(partition: int, lane: Lane) -> tuple[str, str, str, str]:
    """Return the stream, that of the other lane, the last entry of both, and how many partitions there are."""
    (other,) = (one for one in LANES if one != lane)
    return (
        keys.stream(partition, lane),
        keys.stream(partition, other),
        keys.last_entry(partition),
        keys.partitioning(partition),
    )
