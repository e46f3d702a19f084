"""The script that appends messages, each once: its text, what it is called with, and what it answers. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from memstream.contracts import keys
from memstream.contracts.keys import Seen
from memstream.ingest.recording import EVENT_TYPE, Entry, size_of

# One step on the server: look each message up, append it, remember it. A repeat after a lost answer finds the key.
# What was there before its user was erased counts as never seen.
# KEYS: the stream, then a seen-key for each message, then an erased-key for each.
# ARGV: lifetime in seconds, "partition.lane.", type, then the data of each message.
# Answers a line for each, since one text is read faster than many: the id of the new entry, or `=` and what the
# seen-key says.
APPEND = (
    keys.WAS_BEFORE_LUA
    + """
local count = #ARGV - 3
local answer = {}
for i = 1, count do
  local known = redis.call('GET', KEYS[1 + i])
  local erased = known and redis.call('GET', KEYS[1 + count + i])
  if erased then
    local lane, id = known:match('%.(%a+)%.(%d+%-%d+)')
    if was_before(erased, lane, id) then known = false end
  end
  if known then
    answer[i] = '=' .. known
  else
    local id = redis.call('XADD', KEYS[1], '*', 'type', ARGV[3], 'data', ARGV[3 + i])
    redis.call('SET', KEYS[1 + i], ARGV[2] .. id, 'EX', ARGV[1])
    answer[i] = id
  end
end
return table.concat(answer, '\\n')
"""
)

_MESSAGES = 250
_BYTES = 1024 * 1024
"""What one call holds at the most, or one message: it holds the server up for some milliseconds."""


class Appended(NamedTuple):
    """Where a message lies, and whether it lay there before."""

    position: str
    """As `Position` writes itself."""
    duplicate: bool
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """A call of the script: which of some entries it appends to one stream."""

    partition: int
    lane: keys.Lane
    indexes: Sequence[int]

    @property
    def stream(self) -> str:
        """Where they go."""
        return keys.stream(self.partition, self.lane)

    @property
    def _prefix(self) -> str:
        """What stands before an entry's id in a position."""
        return f"{self.partition}.{self.lane}."

    def parameters(self, entries: Sequence[Entry], lifetime: int) -> tuple[list[str], list[str | bytes | int]]:
        """Give the keys and the arguments; `lifetime` is that of seen-keys in seconds."""
        chosen = [entries[index] for index in self.indexes]
        names = [self.stream, *(entry.seen_key for entry in chosen), *(entry.erased_key for entry in chosen)]
        return names, [lifetime, self._prefix, EVENT_TYPE, *(entry.data for entry in chosen)]

    def read(self, answer: str) -> list[Appended]:
        """Read what the script answered, in the order of the indexes."""
        found = []
        prefix = self._prefix
        for line in answer.split("\n"):
            if line[0] == "=":
                known = Seen.parse(line[1:])
                found.append(Appended(str(known.position), duplicate=True, deleted=known.erasure_id is not None))
            else:
                found.append(Appended(prefix + line, duplicate=False))
        return found


def calls(entries: Sequence[Entry]) -> list[Call]:
    """Sort entries into calls: one stream each, and not more than holds the server up for a moment."""
    found: list[Call] = []
    open_calls: dict[tuple[int, keys.Lane], tuple[list[int], int]] = {}
    for index, entry in enumerate(entries):
        indexes, size = open_calls.get((entry.partition, entry.lane), ([], _BYTES))
        size += size_of(entry)
        if size > _BYTES or len(indexes) == _MESSAGES:
            indexes, size = [], size_of(entry)
            found.append(Call(entry.partition, entry.lane, indexes))
        indexes.append(index)
        open_calls[entry.partition, entry.lane] = indexes, size
    return found
