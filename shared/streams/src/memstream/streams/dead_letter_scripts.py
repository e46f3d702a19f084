"""How entries become dead letters and come back, each in one step on the server.

Each may be sent twice, as after a lost answer: the second time adds nothing.
"""

from dataclasses import dataclass
from typing import NamedTuple

from memstream.contracts.keys import Lane
from memstream.streams.connections import decoded
from memstream.streams.scripts import Script
from memstream.streams.stream_scripts import ERASURE_MARKS


class DeadLetterKeys(NamedTuple):
    """The stream and its dead letters; of a message that could be decoded, its seen-key and its user's erased-key."""

    stream: str
    dead_letters: str
    seen: str | None = None
    erased: str | None = None


@dataclass(frozen=True, slots=True)
class DeadLetterArguments:
    """An entry that goes to the dead letters."""

    group: str
    entry_id: str
    lane: Lane
    position: str


# Dead-letters an entry: acknowledges it, writes the payload (names and values in turn) as a dead letter, and notes that
# in the seen-key. An entry that is acknowledged already is left alone. Of a message that was deleted no letter is kept,
# and a seen-key that is about another entry is left as it is.
DEAD_LETTER: Script[DeadLetterKeys, DeadLetterArguments, bool] = Script(
    ERASURE_MARKS
    + """
local stream, dead_letters, seen_key, erased_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local entry_id, position = arguments.entry_id, arguments.position
if redis.call('XACK', stream, arguments.group, entry_id) == 0 then return 0 end
local seen = seen_key and redis.call('GET', seen_key)
if seen and seen:find(' deleted ', 1, true) then return 0 end
if erased_key and is_erased(erased_key, arguments.lane, entry_id) then return 0 end
local id = redis.call('XADD', dead_letters, '*', unpack(ARGV, 2))
if seen == position then redis.call('SET', seen_key, position .. ' dead ' .. id, 'KEEPTTL') end
return 1
""",
    bool,
    vital=True,
)


class ReplayKeys(NamedTuple):
    """The dead letters and the stream; of a message its seen-key and its user's erased-key."""

    dead_letters: str
    stream: str
    seen: str | None = None
    erased: str | None = None


class ReplayDeletionKeys(NamedTuple):
    """The dead letters and the stream, and the receipt of a deletion."""

    dead_letters: str
    stream: str
    receipt: str


@dataclass(frozen=True, slots=True)
class ReplayArguments:
    """A dead letter that goes back to its stream."""

    letter_id: str
    entry_id: str
    """The id it had on its stream."""
    lane: Lane
    prefix: str
    lifetime: int
    """Of a seen-key that has to be written anew, in seconds."""


_RESTORE = """
local dead_letters, stream = KEYS[1], KEYS[2]
local letter = redis.call('XRANGE', dead_letters, arguments.letter_id, arguments.letter_id)[1]
if not letter then return 'missing' end
local function restore()
  local fields = {}
  for i = 1, #letter[2], 2 do
    local name = letter[2][i]
    if name:sub(1, 9) == 'original:' then
      fields[#fields + 1] = name:sub(10)
      fields[#fields + 1] = letter[2][i + 1]
    end
  end
  local position = arguments.prefix .. redis.call('XADD', stream, '*', unpack(fields))
  redis.call('XDEL', dead_letters, arguments.letter_id)
  return position
end
"""

# Puts a dead letter back on its stream, once however often it is asked for. It is removed and not put back if its
# message was deleted meanwhile, or if the seen-key is about a later message with the same id. Answers with the outcome.
REPLAY: Script[ReplayKeys, ReplayArguments, str] = Script(
    ERASURE_MARKS
    + _RESTORE
    + """
local seen_key, erased_key = KEYS[3], KEYS[4]
if not seen_key then
  restore()
  return 'replayed'
end
local seen, original = redis.call('GET', seen_key), arguments.prefix .. arguments.entry_id
local outcome
if seen and seen:find(' deleted ', 1, true) then outcome = 'deleted'
elseif is_erased(erased_key, arguments.lane, arguments.entry_id) then outcome = 'deleted'
elseif seen and seen:match(' dead (%S+)$') ~= arguments.letter_id and seen ~= original then outcome = 'dropped'
end
if outcome then
  redis.call('XDEL', dead_letters, arguments.letter_id)
  return outcome
end
local position = restore()
if seen then redis.call('SET', seen_key, position, 'KEEPTTL')
else redis.call('SET', seen_key, position, 'EX', arguments.lifetime) end
return 'replayed'
""",
    decoded,
)

# Puts the dead letter of a deletion back on its stream, and tells its receipt the new position.
REPLAY_DELETION: Script[ReplayDeletionKeys, ReplayArguments, str] = Script(
    _RESTORE
    + """
local receipt, position = KEYS[3], restore()
if redis.call('EXISTS', receipt) == 1 then redis.call('HSET', receipt, 'position', position) end
return 'replayed'
""",
    decoded,
)
