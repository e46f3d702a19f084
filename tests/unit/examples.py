"""Messages, entries and works that tests are made of."""

from collections.abc import Sequence
from random import Random
from typing import Any

from unit.manual_clock import START

from memstream.contracts import keys
from memstream.contracts.events import MessageRecorded
from memstream.contracts.keys import Lane
from memstream.embedder.jobs import Delivery, EmbeddingJob
from memstream.embedder.streams import SourceStream


class NoTombstones:
    """Nothing was deleted."""

    async def find_tombstones(self, jobs: Sequence[EmbeddingJob]) -> list[bool]:
        """Find none."""
        return [False] * len(jobs)

    async def remove(self, jobs: Sequence[EmbeddingJob]) -> None:
        """Remove nothing."""


def seeded(seed: int = 1) -> Random:
    """Make chance that is the same in every run."""
    return Random(seed)  # noqa: S311 - nothing secret is made from it


def recorded(**fields: Any) -> MessageRecorded:  # noqa: ANN401 - any field of an event
    """Make an event; a field that isn't given has some value."""
    given: dict[str, Any] = {
        "tenant": "acme",
        "user_id": "ana",
        "message_id": "m-1",
        "text": "I left my keys at the gym.",
        "occurred_at": START,
        "recorded_at": START,
        **fields,
    }
    return MessageRecorded(**given)


def entry(data: bytes, *, lane: Lane = "live", entry_id: str = "1-0", attempts: int = 1) -> Delivery:
    """Make the delivery of an entry with this data."""
    fields = {keys.TYPE_FIELD.encode(): b"message.recorded.v1", keys.DATA_FIELD.encode(): data}
    return SourceStream(0, lane).delivery(entry_id, fields, attempts)


def job(  # noqa: PLR0913 - any of them, by name
    name: str = "1-0",
    *,
    lane: Lane = "live",
    attempts: int = 1,
    texts: int = 1,
    size: int | None = None,
    tenant: str = "acme",
) -> EmbeddingJob:
    """Make a message that is ready to be embedded, of so many texts; `size` counts as the bytes of all of them."""
    message = recorded(message_id=name, tenant=tenant)
    parts = [f"{name} part {index}" for index in range(texts)]
    bytes_of_texts = sum(len(part) for part in parts) if size is None else size
    return EmbeddingJob(entry(b"", lane=lane, entry_id=name, attempts=attempts), message, parts, parts, bytes_of_texts)
