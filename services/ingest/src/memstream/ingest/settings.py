"""The settings of ingest. Each is read from the environment variable MEMSTREAM_INGEST_ and its name."""

from dataclasses import fields
from datetime import timedelta
from typing import Literal

from pydantic import Field, RedisDsn, ValidationInfo, field_validator
from pydantic_settings import SettingsConfigDict

from memstream.contracts.keys import MAX_PARTITIONS
from memstream.contracts.limits import DEFAULT_LIMITS, Limits
from memstream.runtime.configuration import Duration
from memstream.runtime.tls import CaFile
from memstream.streams.redis_url import RedisUrl
from memstream.web.authentication import TokenSettings
from memstream.web.settings import HttpSettings

MIB = 1024 * 1024
_NO_TIME = timedelta(0)


class IngestSettings(TokenSettings, HttpSettings):
    """Settings of ingest. Sizes are in bytes."""

    model_config = SettingsConfigDict(env_prefix="MEMSTREAM_INGEST_", frozen=True, extra="ignore")

    host: str = "127.0.0.1"
    port: int = Field(default=8100, ge=1, le=65535)
    reuse_port: bool = False
    """Share the port with other ingest processes on this machine."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    redis_url: RedisUrl = RedisDsn("redis://127.0.0.1:6379/0")
    """One server, or several: see `memstream.streams.redis_url`."""
    redis_ca_file: CaFile | None = None
    """For a URL that begins with `rediss`: trusted instead of the system's authorities."""
    partitions: int = Field(default=1, ge=1, le=MAX_PARTITIONS)
    """The same in every service of an installation."""
    durability: Literal["local", "replica", "memory"] = "local"
    """`local`: a message is accepted once it is on Redis' disk; `fsync` is the earlier name of that. `replica`: once it
    is on the disks of replicas as well, so that it survives its node. `memory`: once Redis has it, lost if that
    crashes."""
    replicas: int = Field(default=1, ge=1)
    """How many replicas must have a message with the durability `replica`."""
    dedup_window: Duration = Field(default=timedelta(days=7), ge=timedelta(seconds=1))
    """How long a repeated message id is recognized, and the state of a message can be queried."""
    erasure_window: Duration = timedelta(days=30)
    """How long tombstones are kept. No stream entry may be older, nor a backup that is restored."""
    append_timeout: Duration = Field(default=timedelta(seconds=5), gt=_NO_TIME)
    """If Redis has not stored a message by then, the response is 503."""

    backlog_limit: int = Field(default=5_000_000, ge=1)
    """From this number of messages not yet embedded, new ones are refused with 429."""
    memory_limit: float = Field(default=0.85, gt=0, le=1)
    """From this share of Redis' maxmemory, new messages are refused with 429."""
    deletion_memory_limit: float = Field(default=0.92, gt=0, le=1)
    """From this share, deletions and erasures are refused with 429, too. The rest is for the work in progress."""
    unseen_memory_limit: float = Field(default=0.7, gt=0, le=1)
    """From this share, deletions of messages that were not posted within the dedup window are refused with 429."""
    erasures_per_day: int = Field(default=10_000, ge=1)
    """Erasures of users that a process accepts of a tenant. Each leaves a tombstone for the erasure window, whether or
    not the user exists."""
    reading_lifetime: Duration = Field(default=timedelta(seconds=10), gt=_NO_TIME)
    """Without a reading of backlog and memory younger than this, new messages are refused with 503."""

    text_bytes: int = Field(default=DEFAULT_LIMITS.text_bytes, ge=1, le=MIB)
    metadata_bytes: int = Field(default=DEFAULT_LIMITS.metadata_bytes, ge=2, le=MIB)
    metadata_keys: int = Field(default=DEFAULT_LIMITS.metadata_keys, ge=0)
    id_bytes: int = Field(default=DEFAULT_LIMITS.id_bytes, ge=1, le=1024)
    batch_messages: int = Field(default=DEFAULT_LIMITS.batch_messages, ge=1)
    batch_bytes: int = Field(default=DEFAULT_LIMITS.batch_bytes, ge=1)
    ahead: Duration = Field(default=DEFAULT_LIMITS.ahead, ge=_NO_TIME)

    @field_validator("durability", mode="before")
    @classmethod
    def _take_earlier_name(cls, value: object) -> object:
        return "local" if value == "fsync" else value

    @field_validator("batch_bytes")
    @classmethod
    def _fit_budget(cls, value: int, info: ValidationInfo) -> int:
        budget = info.data.get("bodies_bytes")
        if budget is not None and 2 * value > budget:
            raise ValueError(f"is {value}, and no tenant gets more than half of BODIES_BYTES, which is {budget}")
        return value

    def limits(self) -> Limits:
        """Return the limits on messages."""
        names = {field.name for field in fields(Limits)} & type(self).model_fields.keys()
        return Limits(**{name: getattr(self, name) for name in names})
