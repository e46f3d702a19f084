"""Cursors: a position in a timeline, written down for the caller."""

import base64
import binascii
import json
from datetime import datetime, timedelta
from uuid import UUID

from memstream.runtime.errors import Invalid
from memstream.vectors.store import TimelinePosition

_TICK = timedelta(microseconds=1)


def write_cursor(position: TimelinePosition) -> str:
    """Return an opaque string for a position."""
    parts = [position.occurred_at.isoformat(), position.recorded_at.isoformat(), position.point]
    return base64.urlsafe_b64encode(json.dumps(parts, separators=(",", ":")).encode()).decode("ascii")


def read_cursor(cursor: str) -> TimelinePosition:
    """Return the position that `write_cursor` wrote.

    Raises:
        Invalid: it was not written by `write_cursor`.

    """
    try:
        occurred_at, recorded_at, point = json.loads(base64.urlsafe_b64decode(cursor.encode("ascii")))
        position = TimelinePosition(
            datetime.fromisoformat(occurred_at), datetime.fromisoformat(recorded_at), str(UUID(point))
        )
        # The end of time has no next.
        _ = position.occurred_at + _TICK, position.recorded_at + _TICK
    except (ValueError, TypeError, AttributeError, OverflowError, binascii.Error, RecursionError) as error:
        raise Invalid("cursor", "is none that a timeline gave out") from error
    if position.occurred_at.tzinfo is None or position.recorded_at.tzinfo is None:
        raise Invalid("cursor", "is none that a timeline gave out")
    return position
