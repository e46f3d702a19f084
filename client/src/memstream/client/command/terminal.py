"""Text and times as a terminal shows them."""

from datetime import datetime


def printable(text: str) -> str:
    """Return a text without control characters, so that no message can steer the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else " " if c.isspace() else "\ufffd" for c in text)


def local_minute(time: datetime) -> str:
    """Return a time in the computer's time zone, to the minute: `2026-01-31 09:30`."""
    return f"{time.astimezone():%Y-%m-%d %H:%M}"
