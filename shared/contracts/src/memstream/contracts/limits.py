"""Limits on the size of a message and its fields."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of the public interface; sizes are in bytes of UTF-8. Services read them from their settings."""

    text_bytes: int = 64 * 1024
    metadata_bytes: int = 4 * 1024
    metadata_keys: int = 32
    id_bytes: int = 256
    batch_messages: int = 1_000
    batch_bytes: int = 8 * 1024 * 1024
    search_limit: int = 100
    search_messages: int = 5_000
    """Messages that the answer to a request may have: for each of its searches `limit`, times one and two for each of
    its `neighbours`."""
    diverse_hits: int = 1_000
    """The `limit`s of a request's searches with `diversity`, in sum: the vectors of their candidates are compared."""
    wait_positions: int = 5_000
    """Positions that a request may wait for."""
    token_budget: int = 1_000_000
    ahead: timedelta = timedelta(days=1)
    """How far in the future `occurred_at` may be: devices' clocks differ."""
    earliest: datetime = datetime(1900, 1, 1, tzinfo=UTC)
    """An earlier `occurred_at` is taken for a broken clock."""


DEFAULT_LIMITS = Limits()
