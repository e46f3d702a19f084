"""A user's messages in time order, page by page.

A cursor is a message's position, so messages that come and go between two pages move nothing.
"""

from memstream.contracts.searches import Filter
from memstream.contracts.timelines import TimelineIn, TimelineMessage, TimelineOut
from memstream.retriever.candidates import conditions_of
from memstream.retriever.timeline.cursors import read_cursor, write_cursor
from memstream.vectors.store import MemoryStore, TimelinePosition, owner_of


class Timeline:
    """Lists messages."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def page(self, asked: TimelineIn, tenant: str) -> TimelineOut:
        """Return a page of a user's messages, and the cursor of the next one.

        Raises:
            Invalid: the cursor is not one that a timeline gave out.
            Unavailable, GlobalFault: the store is out of reach.

        """
        position = read_cursor(asked.cursor) if asked.cursor is not None else None
        starts_later = position is not None and asked.after is not None and position.occurred_at < asked.after
        found = await self._store.list_from(
            owner_of(tenant, asked.user_id),
            conditions_of(Filter(conversation_id=asked.conversation_id)),
            asked.after if position is None or starts_later else position,
            # One more than a page holds: it tells that there is a next one.
            asked.limit + 1,
        )
        if asked.before is not None:
            found = [record for record in found if record.message.occurred_at < asked.before]
        records = found[: asked.limit]
        has_next = len(found) > asked.limit
        return TimelineOut(
            messages=[
                TimelineMessage(**record.message.content, recorded_at=record.message.recorded_at) for record in records
            ],
            cursor=write_cursor(TimelinePosition.of(records[-1].id, records[-1].message)) if has_next else None,
        )
