"""A way through an owner's messages in time order.

Qdrant orders by one field and breaks ties as it likes, so equal times are put in order here.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from memstream.vectors.store.conditions import At, Condition, Conditions, FirstChunk
from memstream.vectors.store.expiry import Expiry
from memstream.vectors.store.messages import Record
from memstream.vectors.store.owners import Owner
from memstream.vectors.store.qdrant.collection import Collection, Lookup
from memstream.vectors.store.qdrant.filters import owned
from memstream.vectors.store.queries import TimelinePosition

TICK = timedelta(microseconds=1)
"""Times are stored to the microsecond, so the next one is this much later."""

_FIELDS = ("occurred_at", "recorded_at")


@dataclass(frozen=True, slots=True)
class Walk:
    """A way through those of an owner's messages for which all conditions hold."""

    collection: Collection
    owner: Owner
    expiry: Expiry
    conditions: Conditions

    async def from_time(self, start: datetime | None, count: int) -> list[Record]:
        """Return the first messages from a time on."""
        # As the start of the order and not as a condition: Qdrant then walks its index from there.
        return await self._ordered((), _FIELDS, start, count)

    async def after(self, position: TimelinePosition, count: int) -> list[Record]:
        """Return the next messages after a position."""
        same_event = At("occurred_at", position.occurred_at)
        same_times = (same_event, At("recorded_at", position.recorded_at))
        parts = await asyncio.gather(
            self._scroll(same_times, count + 1, first=position.point),
            self._ordered((same_event,), _FIELDS[1:], position.recorded_at + TICK, count),
            self.from_time(position.occurred_at + TICK, count),
        )
        return [record for part in parts for record in part if record.id != position.point][:count]

    async def _ordered(
        self, conditions: Sequence[Condition], fields: Sequence[str], start: datetime | None, count: int
    ) -> list[Record]:
        """Return the first messages, from a value of the first of these fields on, by these fields and the id."""
        if not fields:
            return await self._scroll(conditions, count)
        field, *others = fields
        records = await self._scroll(conditions, count + 1, order_by=field, start=start)
        if len(records) > count:
            # Those that share the last value may not be the first ones of that value.
            last: datetime = getattr(records[-1].message, field)
            records = [record for record in records if getattr(record.message, field) != last]
            if len(records) < count:
                same = (*conditions, At(field, last))
                tail = await self._ordered(same, others, None, count - len(records))
                return sorted(records, key=_position) + tail
        return sorted(records, key=_position)[:count]

    async def _scroll(
        self,
        conditions: Sequence[Condition],
        count: int,
        *,
        order_by: str | None = None,
        start: datetime | None = None,
        first: str | None = None,
    ) -> list[Record]:
        which = owned(self.owner, self.expiry, (FirstChunk(), *self.conditions, *conditions))
        return await self.collection.scroll(Lookup(which, count, order_by, start), first=first)


def _position(record: Record) -> TimelinePosition:
    return TimelinePosition.of(record.id, record.message)
