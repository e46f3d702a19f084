"""Where a message stands among the others of its owner.

The order is that of event time, of recorded time among equals, and of the point's id among equals again: a total order,
whose keys never change.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self
from uuid import UUID

from qdrant_client import models

from memstream.runtime.errors import Invalid

TICK = timedelta(microseconds=1)
"""Times are stored to the microsecond, so the next one is this much later."""

FIRST_CHUNKS = models.FieldCondition(key="chunk", match=models.MatchValue(value=0))
"""Of a message in several chunks, the first one stands for it, and carries the whole text."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A message's place in a timeline."""

    occurred_at: datetime
    recorded_at: datetime
    point: str

    @classmethod
    def of(cls, point: str, payload: Mapping[str, Any]) -> Self:
        """Give a stored message's place; `point` is the id of its first chunk."""
        return cls(time_of(payload, "occurred_at"), time_of(payload, "recorded_at"), point)

    @classmethod
    def read(cls, cursor: str) -> Self:
        """Read a cursor.

        Raises:
            Invalid: it was not given out by `cursor`.

        """
        try:
            occurred_at, recorded_at, point = json.loads(base64.urlsafe_b64decode(cursor.encode("ascii")))
            place = cls(datetime.fromisoformat(occurred_at), datetime.fromisoformat(recorded_at), str(UUID(point)))
            # The end of time has no next.
            _ = place.occurred_at + TICK, place.recorded_at + TICK
        except (ValueError, TypeError, AttributeError, OverflowError, binascii.Error, RecursionError) as error:
            raise Invalid("cursor", "is none that a timeline gave out") from error
        if place.occurred_at.tzinfo is None or place.recorded_at.tzinfo is None:
            raise Invalid("cursor", "is none that a timeline gave out")
        return place

    @property
    def cursor(self) -> str:
        """Write it down."""
        parts = [self.occurred_at.isoformat(), self.recorded_at.isoformat(), self.point]
        return base64.urlsafe_b64encode(json.dumps(parts, separators=(",", ":")).encode()).decode("ascii")


def equals(field: str, value: datetime) -> models.Condition:
    """Demand that a time is this one."""
    return models.FieldCondition(key=field, range=models.DatetimeRange(gte=value, lte=value))


def time_of(payload: Mapping[str, Any], field: str) -> datetime:
    """Read a time of a stored message."""
    return datetime.fromisoformat(payload[field])
