"""A user's messages in time order, page by page."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from memstream.contracts.ids import Id
from memstream.contracts.messages import MessageContent
from memstream.contracts.searches import ZonedTime

PAGE = 100
"""Maximum of messages on one page."""


class TimelineIn(BaseModel):
    """The query parameters of a timeline: which messages to list."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    user_id: Id = Field(description="The user; `*` lists the documents that are shared by all users.")
    cursor: str | None = Field(
        default=None, max_length=2048, description="The `cursor` of the previous page. Default: the first page."
    )
    limit: int = Field(default=50, ge=1, le=PAGE)
    after: ZonedTime | None = Field(default=None, description="Only messages from this time on.")
    before: ZonedTime | None = Field(default=None, description="Only messages before this time.")
    conversation_id: Id | None = None


class TimelineMessage(MessageContent):
    """A message as it was posted."""

    recorded_at: datetime = Field(description="When ingest accepted it.")


class TimelineOut(BaseModel):
    """A page of messages by `occurred_at`, the oldest first; messages of the same time by `recorded_at`."""

    messages: list[TimelineMessage]
    cursor: str | None = Field(description="Request the next page with it; null on the last page.")
