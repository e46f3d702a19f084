"""How scripts append to a partition's streams: with ids in one order over both lanes, whatever the clocks do."""

from memstream.contracts import keys
from memstream.contracts.keys import LANES, Lane

APPENDING = """
-- Opens a stream to append to. The id of each entry is greater than all before it in both lanes: that of the last one
-- is kept, since the clock may be set back, or be another machine's. Where none is kept, or a release that
-- keeps none has appended something, the streams know it.
local function open_stream(stream, other_lane, last_key)
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local ms, seq = -1, 0
  local function note(id)
    local id_ms, id_seq = id:match('^(%d+)-(%d+)$')
    id_ms, id_seq = tonumber(id_ms), tonumber(id_seq)
    if id_ms > ms or id_ms == ms and id_seq > seq then ms, seq = id_ms, id_seq end
  end
  local function look()
    for _, lane in ipairs({stream, other_lane}) do
      local info = redis.pcall('XINFO', 'STREAM', lane)
      for i = 1, #info, 2 do
        if info[i] == 'last-generated-id' then note(info[i + 1]) end
      end
    end
  end
  local function next_id()
    if now > ms then ms, seq = now, 0 else seq = seq + 1 end
    return string.format('%.0f-%.0f', ms, seq)
  end
  local last = redis.call('GET', last_key)
  if last then note(last) else look() end
  local function append(...)
    local id = next_id()
    local answer = redis.pcall('XADD', stream, id, ...)
    if type(answer) == 'table' and answer.err then
      look()
      id = next_id()
      redis.call('XADD', stream, id, ...)
    end
    return id
  end
  local function close()
    redis.call('SET', last_key, string.format('%.0f-%.0f', ms, seq))
  end
  return append, close
end
"""
"""Stands before each script that appends to a stream."""


def lane_keys(partition: int, lane: Lane) -> tuple[str, str, str]:
    """Return the keys that `open_stream` takes: the stream, that of the other lane, and the last entry of both."""
    (other,) = (one for one in LANES if one != lane)
    return keys.stream(partition, lane), keys.stream(partition, other), keys.last_entry(partition)
