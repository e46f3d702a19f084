"""The settings of the retriever; each from the variable MEMSTREAM_RETRIEVER_ and its name."""

from datetime import timedelta
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, HttpUrl, RedisDsn, SecretStr, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from memstream.contracts.keys import MAX_PARTITIONS
from memstream.contracts.limits import DEFAULT_LIMITS, Limits
from memstream.runtime.configuration import Duration
from memstream.runtime.tls import CaFile
from memstream.streams.redis_url import RedisUrl
from memstream.vectors.composition import ServerSettings
from memstream.web.authentication import TokenSettings
from memstream.web.settings import HttpSettings

MIB = 1024 * 1024
_NO_TIME = timedelta(0)


class RetrieverSettings(TokenSettings, ServerSettings, HttpSettings):
    """Settings of the retriever. Sizes are in bytes."""

    model_config = SettingsConfigDict(
        env_prefix="MEMSTREAM_RETRIEVER_", env_ignore_empty=True, frozen=True, extra="ignore"
    )

    host: str = "127.0.0.1"
    port: int = Field(default=8101, ge=1, le=65535)
    reuse_port: bool = False
    """Share the port with other processes of the retriever on this machine."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    redis_url: RedisUrl = RedisDsn("redis://127.0.0.1:6379/0")
    """One server, or several: see `memstream.streams.redis_url`."""
    redis_ca_file: CaFile | None = None
    """For a URL that begins with `rediss`: trusted instead of the system's authorities."""
    redis_timeout: Duration = Field(default=timedelta(seconds=1), gt=_NO_TIME)
    """Timeout of Redis calls; if it passes, a recently valid API key is accepted."""
    partitions: int = Field(default=1, ge=1, le=MAX_PARTITIONS)
    """The same in every service of an installation."""

    qdrant_timeout: Duration = Field(default=timedelta(seconds=5), gt=_NO_TIME)
    embeddings_timeout: Duration = Field(default=timedelta(seconds=3), gt=_NO_TIME)
    """A question that isn't embedded by then is answered by keywords alone."""

    search_timeout: Duration = Field(default=timedelta(seconds=5), gt=_NO_TIME)
    """Deadline of a search without `wait_timeout`. Embedding may use half; then keywords alone are used. A search that
    takes longer is answered with 503."""
    searches_at_once: int = Field(default=32, ge=1)
    """Requests that are worked on at the same time; further ones wait."""
    searches_waiting: int = Field(default=256, ge=0)
    """Requests that may wait for that; further ones are answered with 503."""
    searches_waiting_per_tenant: int = Field(default=128, ge=0)
    """Of those, the requests of one tenant; further ones are answered with 429."""
    searches_held: int = Field(default=1000, ge=1)
    """Requests that may wait for positions (`wait_for`) at the same time; further ones are answered with 503."""
    searches_held_per_tenant: int = Field(default=500, ge=1)
    """Of those, the requests of one tenant; further ones are answered with 429."""

    query_cache: int = Field(default=10_000, ge=1)
    """Questions whose vectors are cached; of 384 dimensions 16 MB, of 1,536 dimensions 62 MB."""
    query_batch: int = Field(default=64, ge=1, le=2048)
    """Questions that share a call of the embeddings server, at the most."""
    query_calls: int = Field(default=4, ge=1)
    """Calls of the embeddings server that may be in flight; meanwhile further questions gather for the next one."""

    rerank_url: HttpUrl | None = None
    """Base URL of a server with the rerank API of Cohere and Jina, such as `http://127.0.0.1:8000/v1`. Unset: hits are
    not reranked."""
    rerank_model: str | None = Field(default=None, min_length=1)
    """Its model; required with the URL."""
    rerank_ca_file: CaFile | None = None
    """For a URL that begins with `https://`: trusted instead of the system's authorities."""
    rerank_api_key: SecretStr | None = Field(default=None, min_length=1)
    rerank_timeout: Duration = Field(default=timedelta(milliseconds=300), gt=_NO_TIME)
    """How much longer a search may take for it. Hits that aren't reranked by then keep their order."""
    rerank_hits: int = Field(default=20, ge=2, le=1000)
    """How many of the best hits are reranked."""
    rerank_calls: int = Field(default=8, ge=1)
    """Calls of the rerank server that may be in flight. Searches wait for one for half of `rerank_timeout`."""

    candidates: int = Field(default=100, ge=1, le=1000)
    """Points that each signal proposes for an answer; twice the limit of the answer at the least."""
    calibrations: Path | None = None
    """A file that `memstream calibrate` wrote; its calibration of this embedding space goes before the shipped one."""
    abstain_below: float = Field(default=0.07, ge=0, le=1)
    """Minimum relevance of a message in a context, unless the caller sets `min_relevance`; docs/quality.md says how
    many questions with and without an answer that leaves."""
    search_limit: int = Field(default=DEFAULT_LIMITS.search_limit, ge=1)
    body_bytes: int = Field(default=MIB, ge=1024)
    body_values: int = Field(default=10_000, ge=100)
    """JSON values in a body: each takes time to check, however small it is."""
    search_messages: int = Field(default=DEFAULT_LIMITS.search_messages, ge=1)
    """Messages that the answer to a request may have: `limit` · (1 + 2 · `neighbours`), in sum over a batch."""
    diverse_hits: int = Field(default=DEFAULT_LIMITS.diverse_hits, ge=1)
    """Hits that a request may ask for with `diversity`, over all searches of a batch: their vectors are compared."""
    wait_positions: int = Field(default=DEFAULT_LIMITS.wait_positions, ge=1)
    """Positions that a request may wait for."""
    token_budget: int = Field(default=DEFAULT_LIMITS.token_budget, ge=1)
    """The largest `token_budget` of a context."""
    answer_characters: int = Field(default=16 * MIB, ge=MIB)
    """Characters of the long texts and neighbours in an answer. One that has more is not given."""

    @field_validator("rerank_url")
    @classmethod
    def _check_base_url(cls, value: HttpUrl | None) -> HttpUrl | None:
        if value is not None and (value.path or "").rstrip("/").endswith("/rerank"):
            raise ValueError("the base URL, such as http://127.0.0.1:8000/v1, to which /rerank is added")
        return value

    @model_validator(mode="after")
    def _check_reranking(self) -> Self:
        if (self.rerank_url is None) != (self.rerank_model is None):
            raise ValueError("MEMSTREAM_RETRIEVER_RERANK_URL and MEMSTREAM_RETRIEVER_RERANK_MODEL: both, or neither")
        return self

    def limits(self) -> Limits:
        """Return the limits that searches are held to."""
        return Limits(
            search_limit=self.search_limit,
            search_messages=self.search_messages,
            diverse_hits=self.diverse_hits,
            wait_positions=self.wait_positions,
            token_budget=self.token_budget,
        )
