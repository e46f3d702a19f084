"""How entries become dead letters and come back, each in one step on the server.

Each may be sent twice, as after a lost answer: the second time adds nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from memstream.streams.appending import APPENDING
from memstream.streams.connections import decoded
from memstream.streams.scripts import Script
from memstream.streams.stream_scripts import ERASURE_MARKS, LETTERS


class DeadLetterKeys(NamedTuple):
    """The stream and its dead letters; of a message that could be decoded, what says what became of it."""

    stream: str
    dead_letters: str
    letters: str | None = None
    owner_letters: str | None = None
    seen: str | None = None
    erased: str | None = None


@dataclass(frozen=True, slots=True)
class DeadLetterArguments:
    """An entry that goes to the dead letters."""

    group: str
    entry_id: str
    position: str


# Dead-letters an entry: acknowledges it, writes the payload (names and values in turn) as a dead letter, and notes that
# in the seen-key. An entry that is acknowledged already is left alone. Of a message that was deleted no letter is kept,
# and a seen-key that is about another entry is left as it is. The letter is noted for its user and, unless a later
# message has the same id, as the one that may be replayed.
DEAD_LETTER: Script[DeadLetterKeys, DeadLetterArguments, bool] = Script(
    ERASURE_MARKS
    + LETTERS
    + """
local stream, dead_letters, letters, owner_letters = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local seen_key, erased_key = KEYS[5], KEYS[6]
local entry_id, position = arguments.entry_id, arguments.position
if redis.call('XACK', stream, arguments.group, entry_id) == 0 then return 0 end
local seen = seen_key and redis.call('GET', seen_key)
if seen and seen:find(' deleted ', 1, true) then return 0 end
if erased_key and is_erased(erased_key, entry_id) then return 0 end
local id = redis.call('XADD', dead_letters, '*', unpack(ARGV, 2))
if seen_key then
  redis.call('HSET', owner_letters, id, name_of(seen_key))
  if not seen or seen == position then redis.call('HSET', letters, name_of(seen_key), id) end
end
if seen == position then redis.call('SET', seen_key, position .. ' dead ' .. id, 'KEEPTTL') end
return 1
""",
    bool,
    vital=True,
)


class ReplayKeys(NamedTuple):
    """The lane and the dead letters; of a message, what says what became of it."""

    lane: Sequence[str]
    """See `lane_keys`."""
    dead_letters: str
    letters: str | None = None
    owner_letters: str | None = None
    seen: str | None = None
    erased: str | None = None


class ReplayDeletionKeys(NamedTuple):
    """The lane and the dead letters, and the receipt of a deletion."""

    lane: Sequence[str]
    """See `lane_keys`."""
    dead_letters: str
    receipt: str


@dataclass(frozen=True, slots=True)
class ReplayArguments:
    """A dead letter that goes back to its stream."""

    letter_id: str
    entry_id: str
    """The id it had on its stream."""
    prefix: str
    lifetime: int
    """Of a seen-key that has to be written anew, in seconds."""


_RESTORE = (
    APPENDING
    + """
local dead_letters = KEYS[5]
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
  local append, close = open_stream()
  local position = arguments.prefix .. append(unpack(fields))
  close()
  redis.call('XDEL', dead_letters, arguments.letter_id)
  return position
end
"""
)

# Puts a dead letter back on its stream, once however often it is asked for. That needs proof that nothing has happened
# to its message since: the letter is noted as the one to be replayed, or the seen-key says so. It is removed and not
# put back if its message was deleted meanwhile, or if there is a later message with the same id. Without proof it is
# kept. Answers with the outcome.
REPLAY: Script[ReplayKeys, ReplayArguments, str] = Script(
    ERASURE_MARKS
    + LETTERS
    + _RESTORE
    + """
local letters, owner_letters, seen_key, erased_key = KEYS[6], KEYS[7], KEYS[8], KEYS[9]
if not seen_key then
  restore()
  return 'replayed'
end
local seen, original = redis.call('GET', seen_key), arguments.prefix .. arguments.entry_id
local noted = redis.call('HGET', letters, name_of(seen_key))
local is_seen_dead = seen and (seen:match(' dead (%S+)$') == arguments.letter_id or seen == original)
local outcome
if seen and seen:find(' deleted ', 1, true) then outcome = 'deleted'
elseif is_erased(erased_key, arguments.entry_id) then outcome = 'deleted'
elseif seen and not is_seen_dead then outcome = 'dropped'
elseif noted and noted ~= arguments.letter_id then outcome = 'dropped'
elseif not noted and not is_seen_dead then return 'refused'
end
forget_letter(letters, owner_letters, arguments.letter_id)
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
local receipt, position = KEYS[6], restore()
if redis.call('EXISTS', receipt) == 1 then redis.call('HSET', receipt, 'position', position) end
return 'replayed'
""",
    decoded,
)


class LetterKeys(NamedTuple):
    """The dead letters, and of a message what says what became of it."""

    dead_letters: str
    letters: str
    owner_letters: str
    seen: str
    erased: str


@dataclass(frozen=True, slots=True)
class LetterArguments:
    """A dead letter, and the entry that it was."""

    letter_id: str
    entry_id: str


# Removes a dead letter for good. Answers whether it was there.
DROP_LETTER: Script[LetterKeys, LetterArguments, bool] = Script(
    LETTERS
    + """
forget_letter(KEYS[2], KEYS[3], arguments.letter_id)
return redis.call('XDEL', KEYS[1], arguments.letter_id)
""",
    bool,
)

# Notes for its user a dead letter that an older release wrote, so that it goes with a deletion; if its message was
# deleted already, it goes at once. It is not noted as one to be replayed: nobody knows what happened before.
NOTE_LETTER: Script[LetterKeys, LetterArguments, bool] = Script(
    ERASURE_MARKS
    + LETTERS
    + """
local dead_letters, owner_letters, seen_key, erased_key = KEYS[1], KEYS[3], KEYS[4], KEYS[5]
local id = arguments.letter_id
if #redis.call('XRANGE', dead_letters, id, id) == 0 then return 0 end
local seen = redis.call('GET', seen_key)
if seen and seen:find(' deleted ', 1, true) or is_erased(erased_key, arguments.entry_id) then
  redis.call('XDEL', dead_letters, id)
  return 0
end
return redis.call('HSETNX', owner_letters, id, name_of(seen_key))
""",
    bool,
)
