"""How far a stream may be trimmed: a decision from numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

EntryId = tuple[int, int]
"""Milliseconds and sequence number, which compare as the server compares ids."""

_LAST = 2**64 - 1
"""The largest number either part of an id can be."""


@dataclass(frozen=True, slots=True)
class GroupProgress:
    """How far a group has read: the entry delivered last, and the oldest that is not acknowledged."""

    delivered: EntryId
    oldest_pending: EntryId | None

    @property
    def first_needed(self) -> EntryId:
        """The smallest id whose entry the group may still ask for."""
        following = _following(self.delivered)
        # Not the pending one alone: a group that was set back has undelivered entries before its pending ones.
        return following if self.oldest_pending is None else min(following, self.oldest_pending)


@dataclass(frozen=True, slots=True)
class TrimBefore:
    """Entries with a smaller id may be trimmed."""

    entry_id: EntryId


@dataclass(frozen=True, slots=True)
class GroupsMissing:
    """Nothing may be trimmed, since it is unknown what these groups have read."""

    missing: tuple[str, ...]


def decide(
    declared: Sequence[str], found: Mapping[str, GroupProgress], *, now_ms: int, window_ms: int
) -> TrimBefore | GroupsMissing:
    """Return up to where a stream may be trimmed.

    An entry stays until it was delivered to every declared group and acknowledged, and for `window_ms` after
    it was appended in any case. `now_ms` is the server's time, by which ids are made.
    """
    missing = tuple(name for name in declared if name not in found)
    if missing:
        return GroupsMissing(missing)
    window_start = (max(0, now_ms - window_ms), 0)
    return TrimBefore(min([window_start, *(found[name].first_needed for name in declared)]))


def _following(entry_id: EntryId) -> EntryId:
    milliseconds, sequence = entry_id
    if sequence < _LAST:
        return milliseconds, sequence + 1
    return (milliseconds + 1, 0) if milliseconds < _LAST else entry_id
