"""The marked points: moments that the wire tells, at which a fault strikes exactly there. No part knows of them."""

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
    Point("after upsert", "embedder", "qdrant", "upsert", "answered"),
    Point("before acknowledging", "embedder", "redis", "acknowledge", "before"),
    Point("before burying", "embedder", "redis", "bury", "before", "poison"),
    Point("after burying", "embedder", "redis", "bury", "answered", "poison"),
    Point("during trim", "embedder", "redis", "trim", "sent"),
    Point("after ordering a delete", "ingest", "redis", "order", "answered", "delete"),
    Point("after removing", "embedder", "qdrant", "remove", "answered", "delete"),
)
