"""HTTP bodies of ingest's admin API: API keys, and the record of what operators did with them."""

from datetime import datetime, timedelta
from typing import Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from memstream.contracts.ids import Id, Tenant, UserId
from memstream.contracts.messages import UtcTime

Scope = Literal["ingest", "search", "delete", "admin"]
"""What a key may be used for. `ingest`: posting messages and reading their state. `search`: everything that the
retriever answers. `delete`: deleting messages, erasing users, and their receipts. `admin`: the routes for operators."""

SCOPES: tuple[Scope, ...] = get_args(Scope)

TENANT_SCOPES: frozenset[Scope] = frozenset({"ingest", "search", "delete"})
"""Everything that a tenant's key can do: the scopes of a key that was made without any."""

ADMIN_SCOPES: frozenset[Scope] = frozenset({"admin"})
"""The scopes of an operator's key, which reads and writes no messages."""

MAX_KEYS = 1_000
"""Maximum of keys, or of audit entries, on one page."""

MAX_OVERLAP = timedelta(days=30)
"""How long the old key of a rotation can go on working."""

_DEFAULT_OVERLAP = timedelta(hours=1)

CURSOR_PATTERN = r"^[0-9a-f-]{36}$"
"""Cursors of a list of keys, for JSON Schema."""

AUDIT_CURSOR_PATTERN = r"^[0-9]{1,19}-[0-9]{1,19}$"
"""Cursors of the audit record, for JSON Schema."""


class ApiKeyIn(BaseModel):
    """A key to create."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tenant: Tenant
    user_id: UserId | None = Field(default=None, description="The only user that the key can read and write as.")
    device: Id | None = Field(
        default=None, description="A name for what holds the key. It is shown in lists and in the audit record."
    )
    scopes: list[Scope] = Field(
        default=sorted(TENANT_SCOPES),
        min_length=1,
        max_length=len(SCOPES),
        description="What the key may be used for. `admin` stands alone: an operator's key is not a tenant's key.",
    )
    expires_at: UtcTime | None = Field(default=None, description="When it stops working. Default: never.")

    @model_validator(mode="after")
    def _check_admin(self) -> Self:
        if "admin" in self.scopes and set(self.scopes) != ADMIN_SCOPES:
            raise ValueError("scopes: `admin` stands alone; make another key for the other scopes")
        if "admin" in self.scopes and self.user_id is not None:
            raise ValueError("user_id: an operator's key has no user")
        return self


class ApiKey(BaseModel):
    """What is known of a key. The key itself isn't."""

    key_id: str = Field(description="The name of the key. It is no secret.")
    tenant: str
    user_id: str | None = None
    device: str | None = None
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime | None = None
    rotated_from: str | None = Field(default=None, description="The id of the key that this one takes the place of.")


class ApiKeyCreated(ApiKey):
    """A new key. This is the only time that it is shown."""

    key: str


class ApiKeyPage(BaseModel):
    """A page of the keys that work, the newest last."""

    keys: list[ApiKey]
    cursor: str | None = Field(
        description="Request the next page with it; null on the last page. A short page may have a next one."
    )


class RotationIn(BaseModel):
    """How to rotate a key."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    overlap: int = Field(
        default=int(_DEFAULT_OVERLAP.total_seconds()),
        ge=0,
        le=int(MAX_OVERLAP.total_seconds()),
        strict=True,
        description="How long the old key goes on working, in seconds; not beyond its own `expires_at`.",
    )
    expires_at: UtcTime | None = Field(
        default=None, description="When the new key stops working. Default: it works for as long as the old one did."
    )


KeyAction = Literal["created", "rotated", "revoked"]


class AuditEntry(BaseModel):
    """What an operator did with a key."""

    at: datetime
    actor: str = Field(description="The id of the operator's key, or `issue-key` for the command of that name.")
    action: KeyAction = Field(description="`rotated` is said of the new key: `rotated_from` names the old one.")
    key_id: str
    tenant: str
    user_id: str | None = None
    device: str | None = None
    scopes: list[Scope] = []
    expires_at: datetime | None = None
    rotated_from: str | None = None


class AuditPage(BaseModel):
    """A page of the audit record, the newest first."""

    entries: list[AuditEntry]
    cursor: str | None = Field(description="Request the next page with it; null on the last page.")
