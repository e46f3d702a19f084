"""A user's messages in time order, page by page."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from memstream.contracts.ids import Id
from memstream.contracts.searches import ZonedTime

PAGE = 100
"""Messages that a page holds at the most."""


class TimelineIn(BaseModel):
    """Which messages to list, as the query of the URL says it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    user_id: Id = Field(description="Whose messages; `*` for the documents of all users.")
    cursor: str | None = Field(default=None, max_length=2048, description="Of the page before. Default: the first one.")
    limit: int = Field(default=50, ge=1, le=PAGE)
    after: ZonedTime | None = Field(default=None, description="Said at this time or later.")
    before: ZonedTime | None = Field(default=None, description="Said before this time.")
    conversation_id: Id | None = None


class TimelineMessage(BaseModel):
    """A message as it was posted, and when it was."""

    message_id: str
    conversation_id: str | None
    role: str
    speaker: str | None
    kind: str
    text: str
    occurred_at: datetime
    recorded_at: datetime = Field(description="When ingest took it.")
    metadata: dict[str, Any]


class TimelineOut(BaseModel):
    """Messages by the time they were said, the oldest first; of equal ones, the one that was recorded first."""

    messages: list[TimelineMessage]
    cursor: str | None = Field(description="Leads to the next page; null when there is none.")
