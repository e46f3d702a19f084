"""The one place where the client reads the clock."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the current time, in UTC."""
    return datetime.now(UTC)  # noqa: TID251 - the one place where the clock is read
