"""Stored messages as examples."""

from datetime import UTC, datetime, timedelta
from typing import Any

from memstream.vectors.store import StoredMessage, owner_of

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
ANA = owner_of("acme", "ana")


def stored(message_id: str, text: str = "", minute: int = 0, **fields: Any) -> StoredMessage:  # noqa: ANN401 - any field
    """Return what is stored of one of Ana's messages, so many minutes after noon."""
    at = NOON + timedelta(minutes=minute)
    return StoredMessage(
        **{
            "owner": ANA.name,
            "message_id": message_id,
            "text": text,
            "occurred_at": at,
            "recorded_at": at,
            **fields,
        }
    )
