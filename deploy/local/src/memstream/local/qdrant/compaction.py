"""When deleted points leave the files, and how they leave the write-ahead log.

The engine marks a deleted point and keeps its bytes: in its segment until an optimisation rewrites that, and in the log
until the log's files are removed. It removes a file once a flush has passed it and another one has been filled since.
So the log is filled up with writes that change nothing.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

import qdrant_edge as qe

COMPACT_AFTER = timedelta(seconds=10)
"""How long deletions are collected before a compaction, if the collection is idle then."""

COMPACT_WITHIN = timedelta(minutes=10)
"""After how long the collection is compacted even if it is in use; its other calls wait meanwhile."""

SECONDS_PER_COMPACTION = 0.5
"""What a compaction takes besides the optimisation: the log's part."""

_LOG_FILE = 32 * 2**20
"""Bytes of one of the log's files."""

_KEPT_FILES = 2
"""Files that the engine keeps besides the one it writes to."""

_WRITE = 2**20

_NOBODY = qe.Filter(must=[qe.HasIdCondition({"00000000-0000-0000-0000-000000000000"})])
"""Matches no point: an id that is made from an owner is never this one."""


def overwrite_log(apply: Callable[[qe.UpdateOperation], None], flush: Callable[[], None]) -> None:
    """Fill the log's files up with writes to no point, so that the engine removes all that were written before."""
    filler = qe.UpdateOperation.set_payload_by_filter(_NOBODY, {"filler": "0" * _WRITE}, None)
    for _ in range(_KEPT_FILES):
        for _ in range(_LOG_FILE // _WRITE + 1):
            apply(filler)
        flush()


def is_due(since: datetime, now: datetime, *, is_idle_enough: bool) -> bool:
    """Return whether a collection whose first deletion was at `since` is to be compacted now."""
    waited = now - since
    return waited >= COMPACT_WITHIN or (is_idle_enough and waited >= COMPACT_AFTER)
