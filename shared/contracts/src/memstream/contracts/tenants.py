"""What an operator decides about a tenant: its limits, and how long its messages are kept."""

from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from memstream.contracts.ids import Tenant

LimitName = Literal[
    "messages_per_second", "deletions_per_second", "searches_per_second", "stored_messages", "backlog_share"
]
"""The limits that a refused request may name."""

Rate = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]

_LONGEST_RETENTION_DAYS = 36_500


class TenantPolicy(BaseModel):
    """The limits of a tenant, and how long its messages are kept. None: no limit.

    Among what is set for one tenant, None stands for the installation's default.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    messages_per_second: Rate | None = Field(
        default=None, description="Messages accepted per second; after a pause, four seconds' worth at once."
    )
    deletions_per_second: Rate | None = Field(
        default=None,
        description="Deletions of messages and users accepted per second; after a pause, four seconds' worth at once.",
    )
    searches_per_second: Rate | None = Field(
        default=None,
        description="Requests to the retriever per second, each search of a batch by itself, and one that may return "
        "more than 250 messages once for each 250; after a pause, four seconds' worth at once, or 100.",
    )
    stored_messages: int | None = Field(
        default=None, ge=0, description="Messages stored at a time. They are counted once a minute."
    )
    backlog_share: float | None = Field(
        default=None, gt=0, le=1, description="Share of the backlog limit that its messages may take."
    )
    retention_days: float | None = Field(
        default=None,
        gt=0,
        le=_LONGEST_RETENTION_DAYS,
        allow_inf_nan=False,
        description="Days after which a message is neither found nor kept, from when it was recorded.",
    )

    def recorded_since(self, now: datetime) -> datetime | None:
        """Return the earliest time at which a message was recorded that is still kept; None without retention."""
        return None if self.retention_days is None else now - timedelta(days=self.retention_days)

    def over(self, defaults: "TenantPolicy") -> "TenantPolicy":
        """Return this policy with the defaults for what it leaves open."""
        return TenantPolicy(**defaults.model_dump() | self.model_dump(exclude_none=True))


class TenantPolicyIn(TenantPolicy):
    """A tenant's policy to be set. It replaces the former one: a limit that is missing is the default again."""

    tenant: Tenant | None = Field(description="Whose policy it is. Null: the defaults of the installation.")


class TenantPolicyOut(BaseModel):
    """A tenant's policy."""

    tenant: str | None
    own: TenantPolicy = Field(description="What is set for this tenant.")
    effective: TenantPolicy = Field(description="What holds: its own, and the installation's defaults for the rest.")
