"""What is done to streams in one step on the server: append, delete, erase, count.

Each may be sent twice, as after a lost answer. The second time adds nothing, but for an erasure or the new version of a
message: those are appended again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from memstream.streams.appending import APPENDING
from memstream.streams.connections import decoded
from memstream.streams.scripts import Script

ERASURE_MARKS = """
-- Whether an entry was appended before a mark, as `keys.was_before` says. Numbers are inexact in Lua, so digits are
-- compared.
local function was_before(mark, entry_id)
  local function compare(one, other)
    if #one ~= #other then return #one - #other end
    return one == other and 0 or one < other and -1 or 1
  end
  local mark_ms, mark_seq = mark:match('^(%d+)%-(%d+)$')
  local ms, seq = entry_id:match('^(%d+)%-(%d+)$')
  local order = compare(ms, mark_ms)
  if order == 0 then order = compare(seq, mark_seq) end
  return order <= 0
end
-- Whether an entry was appended before its user's erasure.
local function is_erased(erased_key, entry_id)
  local mark = redis.call('GET', erased_key)
  return mark and was_before(mark, entry_id)
end
-- What a seen-key says. A message of before its user's erasure counts as never seen.
local function read_seen(seen_key, erased_key)
  local seen = redis.call('GET', seen_key)
  if not seen then return false end
  return not is_erased(erased_key, seen:match('%.(%d+%-%d+)')) and seen
end
-- Writes what is there. A connection waits for disks up to its own last write, so with this one the answer to a repeat
-- waits for what was written first.
local function rewrite(seen_key, seen) redis.call('SET', seen_key, seen, 'KEEPTTL') end
"""
"""Stands before each script that asks whether something was erased or deleted."""

LETTERS = """
-- The hash of those dead letters that may be replayed, by message, and the hash of a user's letters.
local function forget_letter(letters_key, owner_key, id)
  local message = redis.call('HGET', owner_key, id)
  redis.call('HDEL', owner_key, id)
  if message and redis.call('HGET', letters_key, message) == id then redis.call('HDEL', letters_key, message) end
end
-- Removes a user's dead letters: those of a message, or all. Answers with how many there were.
local function remove_letters(dead_letters, letters_key, owner_key, message)
  local found, removed = redis.call('HGETALL', owner_key), 0
  for i = 1, #found, 2 do
    if not message or found[i + 1] == message then
      removed = removed + redis.call('XDEL', dead_letters, found[i])
      forget_letter(letters_key, owner_key, found[i])
    end
  end
  return removed
end
local function name_of(key) return key:match('[^:]+$') end
"""
"""Stands before each script that deals with dead letters."""

TOMBSTONES = """
-- Notes a tombstone, which has no expiry: it is removed when no entry from before it can be stored any more.
local function note_tombstone(tombstones_key, name, entry_id, lifetime)
  local from = math.max(tonumber(entry_id:match('^%d+')), redis.call('TIME')[1] * 1000)
  redis.call('ZADD', tombstones_key, string.format('%.0f', from + lifetime * 1000), name)
end
"""
"""Stands before each script that writes tombstones."""


class AppendKeys(NamedTuple):
    """The lane, the letters that may be replayed, and the seen-key and the erased-key of each message."""

    lane: Sequence[str]
    """See `lane_keys`."""
    letters: str
    seen: Sequence[str]
    erased: Sequence[str]


@dataclass(frozen=True, slots=True)
class AppendArguments:
    """What is the same for all messages of a call."""

    lifetime: int
    """Of the seen-keys, in seconds."""
    prefix: str
    """What stands before an entry's id in a position: `partition.lane.`."""
    type: str
    partitions: int
    """How many the process was told; so in all scripts that append."""
    replaces: bool = False
    """Whether messages that were seen are appended too, as new versions; deleted ones are not."""


# Appends messages, each once. The payload is the data of each message. Answers with a line for each, since one text is
# read faster than many: the id of the new entry, or `=` and what the seen-key says. A letter of an older message with
# the same id is then not replayed any more.
APPEND: Script[AppendKeys, AppendArguments, str] = Script(
    ERASURE_MARKS
    + APPENDING
    + """
local append, close, refused = open_stream(arguments.partitions)
if refused then return refused end
local letters, count = KEYS[5], #ARGV - 1
local lifetime, prefix, type = arguments.lifetime, arguments.prefix, arguments.type
local has_letters = redis.call('EXISTS', letters) == 1
local answer = {}
for i = 1, count do
  local seen_key = KEYS[5 + i]
  local seen = read_seen(seen_key, KEYS[5 + count + i])
  if seen and not (arguments.replaces and not seen:find(' deleted ', 1, true)) then
    answer[i] = '=' .. seen
    rewrite(seen_key, seen)
  else
    local id = append('type', type, 'data', ARGV[1 + i])
    redis.call('SET', seen_key, prefix .. id, 'EX', lifetime)
    if has_letters then redis.call('HDEL', letters, seen_key:match('[^:]+$')) end
    answer[i] = id
  end
end
close()
return table.concat(answer, '\\n')
""",
    decoded,
)


class DeletionKeys(NamedTuple):
    """The live lane, the receipt, what notes tombstones and dead letters, and what became of message and user."""

    lane: Sequence[str]
    """See `lane_keys`."""
    receipt: str
    tombstones: str
    dead_letters: str
    letters: str
    owner_letters: str
    seen: str
    erased: str


class ErasureKeys(NamedTuple):
    """The live lane, the receipt, what notes tombstones and dead letters, and up to when a user was erased."""

    lane: Sequence[str]
    """See `lane_keys`."""
    receipt: str
    tombstones: str
    dead_letters: str
    letters: str
    owner_letters: str
    erased: str


@dataclass(frozen=True, slots=True)
class ErasureArguments:
    """A request to delete a message or to erase a user. The payload is the data of its event."""

    lifetime: int
    """Of the receipt, and of the tombstone at the least; in seconds."""
    prefix: str
    type: str
    partitions: int
    erasure_id: str
    tenant: str
    requested_at: str
    owner: str
    """The hex of the user's key, by which a caller that is bound to one finds no receipt of another."""
    unseen: "UnseenDeletion | None" = None
    """What to do about the deletion of a message that was not seen; None for an erasure, or if it was seen in a former
    partition."""
    dead_letters: int = 0
    """How many went from former partitions already."""


@dataclass(frozen=True, slots=True)
class UnseenDeletion:
    """How the deletion of a message with neither seen-key nor dead letter is recorded. It may be stored, or never was.

    Anybody can ask for any number of these, so what they leave is gone soon after they are carried out.
    """

    is_refused: bool
    tombstone: int
    """Of its tombstone at the least, in seconds."""
    receipt: int
    """Of its receipt until it is carried out, in seconds."""
    completed_receipt: int
    """Of its receipt from then on, in seconds, if nothing was removed."""


_WRITE_RECEIPT = """
local function write_receipt(key, scope, position, lifetime, dead_letters)
  redis.call('HSET', key, 'scope', scope, 'tenant', arguments.tenant, 'requested_at', arguments.requested_at,
    'position', position, 'owner', arguments.owner)
  redis.call('EXPIRE', key, lifetime)
  if dead_letters > 0 then redis.call('HSET', key, 'dead_letters', dead_letters) end
end
"""

# Requests the deletion of a message. Answers with the id of the erasure, or nothing if it is refused. A repeated
# request gets the id of the first; but not when that was before the user's erasure: the new request has to hold for a
# message posted since. The dead letters of the message go with it.
DELETE_MESSAGE: Script[DeletionKeys, ErasureArguments, str] = Script(
    ERASURE_MARKS
    + APPENDING
    + LETTERS
    + TOMBSTONES
    + _WRITE_RECEIPT
    + """
local append, close, refused = open_stream(arguments.partitions)
if refused then return refused end
local receipt, tombstones, dead_letters, letters = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local owner_letters, seen_key, erased_key = KEYS[9], KEYS[10], KEYS[11]
local seen = read_seen(seen_key, erased_key)
local earlier = seen and seen:match(' deleted (%S+)$')
if earlier then
  rewrite(seen_key, seen)
  return earlier
end
local unseen = not seen and arguments.unseen ~= cjson.null and arguments.unseen
if unseen and unseen.is_refused then return '' end
local position = arguments.prefix .. append('type', arguments.type, 'data', ARGV[2])
close()
local first = seen and seen:match('^%S+') or position
local letter = seen and seen:match(' dead (%S+)$')
local removed = letter and redis.call('XDEL', dead_letters, letter) or 0
-- With a dead letter it is known all the same.
removed = removed + remove_letters(dead_letters, letters, owner_letters, name_of(seen_key))
if removed > 0 then unseen = nil end
removed = removed + arguments.dead_letters
redis.call('SET', seen_key, first .. ' deleted ' .. arguments.erasure_id)
local lifetime = unseen and unseen.tombstone or arguments.lifetime
note_tombstone(tombstones, 'seen:' .. name_of(seen_key), position:match('[^.]+$'), lifetime)
write_receipt(receipt, 'message', position, unseen and unseen.receipt or arguments.lifetime, removed)
if unseen then redis.call('HSET', receipt, 'completed_lifetime', unseen.completed_receipt) end
return arguments.erasure_id
""",
    decoded,
)

# Requests the erasure of a user. Answers with the id of the erasure. The user's dead letters go with it.
ERASE_USER: Script[ErasureKeys, ErasureArguments, str] = Script(
    APPENDING
    + LETTERS
    + TOMBSTONES
    + _WRITE_RECEIPT
    + """
local append, close, refused = open_stream(arguments.partitions)
if refused then return refused end
local receipt, tombstones, dead_letters, letters = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local owner_letters, erased_key = KEYS[9], KEYS[10]
local id = append('type', arguments.type, 'data', ARGV[2])
close()
local removed = remove_letters(dead_letters, letters, owner_letters, false) + arguments.dead_letters
redis.call('SET', erased_key, id)
note_tombstone(tombstones, 'erased:' .. name_of(erased_key), id, arguments.lifetime)
write_receipt(receipt, 'user', arguments.prefix .. id, arguments.lifetime, removed)
return arguments.erasure_id
""",
    decoded,
)


class TombstoneKeys(NamedTuple):
    """The set of tombstones, and the keys of those that may be removed."""

    tombstones: str
    found: Sequence[str]


@dataclass(frozen=True, slots=True)
class RemovalArguments:
    """Which tombstones may be removed; the payload is their names in the set."""

    before: int
    """Those whose time is over before this, in milliseconds."""


# Removes tombstones whose time is over, unless they were written anew meanwhile. What has become of a seen-key that is
# no tombstone any more stays. Answers with how many were removed.
REMOVE_TOMBSTONES: Script[TombstoneKeys, RemovalArguments, int] = Script(
    """
local removed = 0
for i = 2, #KEYS do
  local score = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if score and tonumber(score) < arguments.before then
    local value = redis.call('GET', KEYS[i])
    if value and (ARGV[i]:find('^erased:') or value:find(' deleted ', 1, true)) then redis.call('DEL', KEYS[i]) end
    redis.call('ZREM', KEYS[1], ARGV[i])
    removed = removed + 1
  end
end
return removed
""",
    int,
)


class ReceiptKeys(NamedTuple):
    """The receipt, and what is to be purged from the partition's streams."""

    receipt: str
    purges: str


@dataclass(frozen=True, slots=True)
class CompletionArguments:
    """When what was asked for was done. The payload is the purge as JSON."""

    erasure_id: str
    done_at: str


# Notes a purge, and completes the receipt if that is still kept. In one step, since a receipt that expires in between
# would be left without an expiry. A message that was not seen and is not stored leaves nothing to purge: anybody can
# ask for any number of these.
COMPLETE_RECEIPT: Script[ReceiptKeys, CompletionArguments, bool] = Script(
    """
local receipt, purges = KEYS[1], KEYS[2]
local lifetime = redis.call('HGET', receipt, 'completed_lifetime')
if lifetime and redis.call('HGET', receipt, 'messages') == '0' then
  redis.call('HSET', receipt, 'done_at', arguments.done_at, 'purged_at', arguments.done_at, 'waiting', '[]')
  redis.call('EXPIRE', receipt, lifetime)
  return 1
end
redis.call('HSETNX', purges, arguments.erasure_id, ARGV[2])
if redis.call('EXISTS', receipt) == 0 then return 0 end
redis.call('HSET', receipt, 'done_at', arguments.done_at)
return 1
""",
    bool,
    vital=True,
)


class StreamKeys(NamedTuple):
    """A stream."""

    stream: str


@dataclass(frozen=True, slots=True)
class CountArguments:
    """Which entries to count."""

    after: str
    """The id behind which to begin."""
    limit: int


class Count(NamedTuple):
    """How many entries were found, and the id of the last one."""

    entries: int
    last: str


def _count(answer: Any) -> Count:  # noqa: ANN401 - as the server sent it
    entries, last = answer
    return Count(int(entries), decoded(last))


COUNT: Script[StreamKeys, CountArguments, Count] = Script(
    """
local entries = redis.call('XRANGE', KEYS[1], '(' .. arguments.after, '+', 'COUNT', arguments.limit)
return {#entries, #entries > 0 and entries[#entries][1] or arguments.after}
""",
    _count,
)


@dataclass(frozen=True, slots=True)
class GroupArguments:
    """A consumer group."""

    group: str


# Removes a consumer, whose name is the payload, unless something is pending for it: that would be lost with it.
REMOVE_CONSUMER: Script[StreamKeys, GroupArguments, bool] = Script(
    """
local stream, group, consumer = KEYS[1], arguments.group, ARGV[2]
if #redis.call('XPENDING', stream, group, '-', '+', 1, consumer) > 0 then return 0 end
redis.call('XGROUP', 'DELCONSUMER', stream, group, consumer)
return 1
""",
    bool,
)
