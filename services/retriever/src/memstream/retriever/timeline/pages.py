"""A user's messages in time order, page by page.

A cursor is a message's place, so messages that come and go between two pages move nothing.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from qdrant_client import models

from memstream.contracts import ids
from memstream.contracts.searches import Filter
from memstream.contracts.timelines import TimelineIn, TimelineMessage, TimelineOut
from memstream.retriever.candidates.conditions import conditions_of
from memstream.retriever.timeline.places import FIRST_CHUNKS, TICK, Place, equals, time_of
from memstream.vectors.collection import Collection
from memstream.vectors.lookups import Order, Record

_FIELDS = ("occurred_at", "recorded_at")


class Timeline:
    """Lists messages."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    async def page(self, asked: TimelineIn, tenant: str) -> TimelineOut:
        """Give a page of a user's messages, and what leads to the next one.

        Raises:
            Invalid: the cursor is none.
            Unavailable, GlobalFault: Qdrant is out of reach.

        """
        place = Place.read(asked.cursor) if asked.cursor is not None else None
        conversation = conditions_of(Filter(conversation_id=asked.conversation_id))
        walk = _Walk(self._collection, ids.owner(tenant, asked.user_id), conversation)
        # One more than a page holds: it tells that there is a next one.
        if place is None or (asked.after is not None and place.occurred_at < asked.after):
            found = await walk.along(asked.after, asked.limit + 1)
        else:
            found = await walk.onwards(place, asked.limit + 1)
        if asked.before is not None:
            found = [record for record in found if time_of(record.payload, "occurred_at") < asked.before]
        records = found[: asked.limit]
        return TimelineOut(
            messages=[_message(record.payload) for record in records],
            cursor=_place(records[-1]).cursor if len(found) > asked.limit else None,
        )


@dataclass(frozen=True, slots=True)
class _Walk:
    """A way through an owner's messages."""

    collection: Collection
    owner: str
    conditions: models.Filter | None

    async def along(self, start: datetime | None, count: int) -> list[Record]:
        """Give the first messages from a time on."""
        # As the start of the order and not as a condition: the server then walks its index from there.
        return await self._ordered([], _FIELDS, start, count)

    async def onwards(self, place: Place, count: int) -> list[Record]:
        """Give the next messages after a place."""
        here = equals("occurred_at", place.occurred_at)
        beside = [here, equals("recorded_at", place.recorded_at)]
        parts = await asyncio.gather(
            self._scroll(beside, count + 1, first=place.point),
            self._ordered([here], _FIELDS[1:], place.recorded_at + TICK, count),
            self.along(place.occurred_at + TICK, count),
        )
        return [record for part in parts for record in part if record.id != place.point][:count]

    async def _ordered(
        self, conditions: Sequence[models.Condition], fields: Sequence[str], start: datetime | None, count: int
    ) -> list[Record]:
        """Give the first messages, from a value of the first of these fields on, by these fields and the point's id."""
        if not fields:
            return await self._scroll(conditions, count)
        field, *others = fields
        records = await self._scroll(conditions, count + 1, order=Order(field, start))
        if len(records) > count:
            # Qdrant's order among equals is no order, so those that share the last value may not be the first ones.
            last = time_of(records[-1].payload, field)
            records = [record for record in records if time_of(record.payload, field) != last]
            if len(records) < count:
                same = [*conditions, equals(field, last)]
                tail = await self._ordered(same, others, None, count - len(records))
                return sorted(records, key=_place) + tail
        return sorted(records, key=_place)[:count]

    async def _scroll(
        self,
        conditions: Sequence[models.Condition],
        count: int,
        *,
        order: Order | None = None,
        first: str | None = None,
    ) -> list[Record]:
        wanted = [] if self.conditions is None else [self.conditions]
        every = models.Filter(must=[FIRST_CHUNKS, *wanted, *conditions])
        return await self.collection.page(self.owner, every, count, order=order, first=first)


def _place(record: Record) -> Place:
    return Place.of(record.id, record.payload)


def _message(payload: Mapping[str, Any]) -> TimelineMessage:
    return TimelineMessage(
        message_id=payload["message_id"],
        conversation_id=payload.get("conversation_id"),
        role=payload["role"],
        speaker=payload.get("speaker"),
        kind=payload["kind"],
        text=payload.get("full_text") or payload["text"],
        occurred_at=payload["occurred_at"],
        recorded_at=payload["recorded_at"],
        metadata=payload.get("metadata") or {},
    )
