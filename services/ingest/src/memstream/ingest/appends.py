"""Appending messages, each once: how they are split into calls of the script, and what it answers. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from memstream.contracts import keys
from memstream.contracts.keys import Seen
from memstream.ingest.recorder import EVENT_TYPE, NewEntry, size_of
from memstream.streams.appending import lane_keys
from memstream.streams.scripts import ScriptCall
from memstream.streams.stream_scripts import APPEND, AppendArguments, AppendKeys

_MESSAGES = 250
_BYTES = 1024 * 1024
"""What one call holds at most, or a single message: it blocks the server for some milliseconds."""


class Appended(NamedTuple):
    """The position of a message, and whether it was there before."""

    position: str
    """As `Position` writes itself."""
    duplicate: bool
    deleted: bool = False

    @classmethod
    def before(cls, seen: Seen) -> "Appended":
        """Return the answer for a message that was appended before."""
        return cls(str(seen.position), duplicate=True, deleted=seen.erasure_id is not None)


@dataclass(frozen=True, slots=True)
class Append:
    """Which entries are appended to one stream in one call."""

    partition: int
    lane: keys.Lane
    indexes: Sequence[int]
    replaces: bool = False

    @property
    def _prefix(self) -> str:
        """What stands before an entry's id in a position."""
        return f"{self.partition}.{self.lane}."

    def call(self, entries: Sequence[NewEntry], lifetime: int, partitions: int) -> ScriptCall[str]:
        """Return the call; `lifetime` is that of seen-keys in seconds, and `partitions` is how many there are."""
        chosen = [entries[index] for index in self.indexes]
        letters = keys.letters(self.partition)
        names = AppendKeys(
            lane_keys(self.partition, self.lane),
            letters,
            [entry.seen_key for entry in chosen],
            [entry.erased_key for entry in chosen],
        )
        arguments = AppendArguments(lifetime, self._prefix, EVENT_TYPE, partitions, self.replaces)
        return APPEND.call(names, arguments, [entry.data for entry in chosen])

    def read(self, answer: str) -> list[Appended]:
        """Read the script's answer, in the order of the indexes."""
        found = []
        prefix = self._prefix
        for line in answer.split("\n"):
            if line[0] == "=":
                found.append(Appended.before(Seen.parse(line[1:])))
            else:
                found.append(Appended(prefix + line, duplicate=False))
        return found


def appends(entries: Sequence[NewEntry]) -> list[Append]:
    """Split entries into calls: each for one stream, and small enough not to block the server for long."""
    found: list[Append] = []
    open_appends: dict[tuple[int, keys.Lane, bool], tuple[list[int], int]] = {}
    for index, entry in enumerate(entries):
        kind = entry.partition, entry.lane, entry.replaces
        indexes, size = open_appends.get(kind, ([], _BYTES))
        size += size_of(entry)
        if size > _BYTES or len(indexes) == _MESSAGES:
            indexes, size = [], size_of(entry)
            found.append(Append(entry.partition, entry.lane, indexes, entry.replaces))
        indexes.append(index)
        open_appends[kind] = indexes, size
    return found
