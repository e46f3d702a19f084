"""The marked points: moments that are recognized on the wire, to inject a fault exactly then. No part knows of them."""

from dataclasses import dataclass
from typing import Literal

from reliability.wire import Word

Phase = Literal["before", "sent", "answered"]
"""Before the command goes on; once it has gone on; once its answer is there and hasn't gone on."""


@dataclass(frozen=True, slots=True)
class Point:
    """A moment on the way from a kind of part to another."""

    name: str
    client: str
    """What the client's name begins with."""
    server: str
    word: Word
    phase: Phase
    provoked_by: Literal["poison", "delete"] | None = None
    """What has to be sent for it to come about, besides messages."""


POINTS = (
    Point("after append", "ingest", "redis", "append", "answered"),
    Point("after read", "embedder", "redis", "read", "answered"),
    Point("after embed", "embedder", "embeddings", "embed", "answered"),
    Point("during upsert", "embedder", "qdrant", "upsert", "sent"),
    Point("late upsert", "embedder", "qdrant", "upsert", "before", "delete"),
    Point("after upsert", "embedder", "qdrant", "upsert", "answered"),
    Point("before acknowledging", "embedder", "redis", "acknowledge", "before"),
    Point("before dead-lettering", "embedder", "redis", "dead_letter", "before", "poison"),
    Point("after dead-lettering", "embedder", "redis", "dead_letter", "answered", "poison"),
    Point("during trim", "embedder", "redis", "trim", "sent"),
    Point("after requesting a deletion", "ingest", "redis", "request_deletion", "answered", "delete"),
    Point("after removing", "embedder", "qdrant", "remove", "answered", "delete"),
)

LATE_WRITES = (
    Point("late reservation", "embedder", "qdrant", "reserve", "before"),
    Point("late upsert", "embedder", "qdrant", "upsert", "before", "delete"),
    Point("late removal", "embedder", "qdrant", "remove", "before", "delete"),
)
"""Every write to Qdrant that a worker may be killed over while it is held back."""
