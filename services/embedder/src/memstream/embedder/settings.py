"""The settings of the embedder, each from the variable MEMSTREAM_EMBEDDER_ and its name."""

import socket
from datetime import timedelta
from typing import Literal, Self

from pydantic import Field, RedisDsn, model_validator
from pydantic_settings import SettingsConfigDict

from memstream.contracts.keys import MAX_PARTITIONS
from memstream.runtime.configuration import Duration
from memstream.runtime.tls import CaFile
from memstream.streams.redis_url import RedisUrl
from memstream.vectors.composition import ServerSettings


class EmbedderSettings(ServerSettings):
    """Settings of the embedder. Sizes are in bytes."""

    model_config = SettingsConfigDict(
        env_prefix="MEMSTREAM_EMBEDDER_", env_ignore_empty=True, frozen=True, extra="ignore"
    )

    host: str = "127.0.0.1"
    port: int = Field(default=8105, ge=1, le=65535)
    """For health and metrics."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    redis_url: RedisUrl = RedisDsn("redis://127.0.0.1:6379/0")
    """One server, or several: see `memstream.streams.redis_url`."""
    redis_ca_file: CaFile | None = None
    """For a URL that begins with `rediss`: trusted instead of the system's authorities."""
    partitions: int = Field(default=1, ge=1, le=MAX_PARTITIONS)
    """The same in every service of an installation."""
    consumer: str = Field(default_factory=socket.gethostname, min_length=1)
    """This worker's name in the consumer group. Restarted under it, the worker continues what was in progress."""

    batch_texts: int = Field(default=128, ge=1, le=2048)
    batch_bytes: int = Field(default=250_000, ge=1, le=300_000)
    """Of the texts of one call. A call takes up to 300,000 tokens, and a token is a byte at least."""
    linger: Duration = timedelta(milliseconds=5)
    """How long a message waits for others to share a call with, in an import ten times as long. A full batch doesn't
    wait."""
    concurrency: int = Field(default=8, ge=1, le=256)
    """Calls to the embeddings API at once, at the most. Fewer are made where it refuses more, or slows down."""
    held_messages: int = Field(default=1024, ge=1)
    """Messages in progress at once; nothing more is read before some are done."""
    held_bytes: int = Field(default=32 * 1024 * 1024, ge=1024)

    chunk_tokens: int = Field(default=200, ge=16, le=8000)
    """A longer message is split; tokens of cl100k_base."""
    chunk_overlap_tokens: int = Field(default=20, ge=0)

    claim_idle: Duration = timedelta(seconds=30)
    """A message that its worker hasn't touched for so long is taken over."""
    max_deliveries: int = Field(default=5, ge=1)
    """A message that came back so often without an outcome goes to the dead letters."""
    grace: Duration = timedelta(seconds=10)
    """How long work in progress may take after SIGTERM; the rest is handed back."""

    trim_period: Duration = Field(default=timedelta(minutes=1), gt=timedelta(0))
    """How often the upkeep is done: streams trimmed, abandoned consumers and expired messages removed, and so on."""
    replay_window: Duration = Field(default=timedelta(days=1), gt=timedelta(0))
    """How long a message stays in its stream at the least, so that a snapshot of Qdrant and the stream restore
    everything. One that isn't acknowledged stays however old it is. Below ingest's erasure window."""
    purge_period: Duration = Field(default=timedelta(seconds=5), gt=timedelta(0))
    """How often it is looked for deletions whose words are to leave the streams and the files."""
    consumer_idle: Duration = Field(default=timedelta(days=7), gt=timedelta(0))
    """A worker that wasn't seen for so long, and has nothing pending, is removed from the groups."""

    @model_validator(mode="after")
    def _overlap_is_less_than_a_chunk(self) -> Self:
        if self.chunk_overlap_tokens >= self.chunk_tokens:
            raise ValueError("MEMSTREAM_EMBEDDER_CHUNK_OVERLAP_TOKENS must be below MEMSTREAM_EMBEDDER_CHUNK_TOKENS")
        return self
