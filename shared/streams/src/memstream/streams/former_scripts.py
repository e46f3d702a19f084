"""Deletions in the partitions that a user was in before the number of partitions was raised.

Nothing of the user is appended there any more. But entries may wait or be read again, dead letters be replayed, and
messages be known; so each of these partitions has tombstones of its own, written before the request is appended.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

from memstream.streams.scripts import Script
from memstream.streams.stream_scripts import ERASURE_MARKS, LETTERS, TOMBSTONES


class FormerDeletionKeys(NamedTuple):
    """The last entry, what notes tombstones and dead letters, and what became of message and user."""

    last: str
    """It is there since the number of partitions was raised."""
    tombstones: str
    dead_letters: str
    letters: str
    owner_letters: str
    seen: str
    erased: str


class FormerErasureKeys(NamedTuple):
    """The last entry, what notes tombstones and dead letters, and up to when a user was erased."""

    last: str
    tombstones: str
    dead_letters: str
    letters: str
    owner_letters: str
    erased: str


@dataclass(frozen=True, slots=True)
class FormerArguments:
    """A deletion or an erasure that is about to be requested."""

    erasure_id: str
    prefix: str
    """What stands before an entry's id in a position of the live lane."""
    lifetime: int
    """Of the tombstone at the least, in seconds."""
    unseen_lifetime: int
    """Of that of a message that is not known here; 0 leaves none."""


class Former(NamedTuple):
    """What was known in a former partition."""

    is_known: bool
    """Whether the message was seen there, or had a dead letter."""
    dead_letters: int
    """How many were removed."""


def _read(answer: Any) -> Former:  # noqa: ANN401 - as the server sent it
    is_known, dead_letters = answer
    return Former(bool(is_known), int(dead_letters))


DELETE_FORMER: Script[FormerDeletionKeys, FormerArguments, Former] = Script(
    ERASURE_MARKS
    + LETTERS
    + TOMBSTONES
    + """
local last_key, tombstones, dead_letters, letters = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local owner_letters, seen_key, erased_key = KEYS[5], KEYS[6], KEYS[7]
local last, seen = redis.call('GET', last_key), redis.call('GET', seen_key)
local letter = seen and seen:match(' dead (%S+)$')
local removed = letter and redis.call('XDEL', dead_letters, letter) or 0
removed = removed + remove_letters(dead_letters, letters, owner_letters, name_of(seen_key))
local is_known = removed > 0 or read_seen(seen_key, erased_key)
local lifetime = is_known and arguments.lifetime or arguments.unseen_lifetime
if lifetime > 0 and not (seen and seen:find(' deleted ', 1, true)) then
  local first = seen and seen:match('^%S+') or arguments.prefix .. last
  redis.call('SET', seen_key, first .. ' deleted ' .. arguments.erasure_id)
  note_tombstone(tombstones, 'seen:' .. name_of(seen_key), last, lifetime)
end
return {is_known and 1 or 0, removed}
""",
    _read,
)

# The user's entries here all count as erased: later ones are in other partitions.
ERASE_FORMER: Script[FormerErasureKeys, FormerArguments, Former] = Script(
    LETTERS
    + TOMBSTONES
    + """
local last_key, tombstones, dead_letters, letters = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local owner_letters, erased_key = KEYS[5], KEYS[6]
local removed = remove_letters(dead_letters, letters, owner_letters, false)
local last = redis.call('GET', last_key)
redis.call('SET', erased_key, last)
note_tombstone(tombstones, 'erased:' .. name_of(erased_key), last, arguments.lifetime)
return {1, removed}
""",
    _read,
)
