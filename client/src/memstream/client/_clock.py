"""The one place where the client asks what time it is."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Give the calendar time, in UTC."""
    return datetime.now(UTC)  # noqa: TID251 - here is where the clock is read
