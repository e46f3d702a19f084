"""Bodies of the retriever's HTTP interface."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
)

from memstream.contracts.ids import Id, UserId, limits_of
from memstream.contracts.keys import Position
from memstream.contracts.messages import Text, check_keys, written_time

Mode = Literal["hybrid", "dense", "keyword"]
Encoding = Literal["cl100k_base", "o200k_base"]
"""How tokens are counted: as OpenAI's models of these encodings do."""


def _position(value: str) -> str:
    return str(Position.parse(value))


def _zoned(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("has no time zone; write it as 2026-01-31T09:30:00Z or with an offset")
    return value


def _search_limit(value: int, info: ValidationInfo) -> int:
    limit = limits_of(info).search_limit
    if not 1 <= value <= limit:
        raise ValueError(f"is {value}, it takes 1 to {limit}")
    return value


WaitPosition = Annotated[str, StringConstraints(strict=True), AfterValidator(_position)]
ZonedTime = Annotated[datetime, BeforeValidator(written_time), AfterValidator(_zoned)]
Whole = Annotated[int, Field(strict=True, ge=-(2**63), lt=2**63)]
Scalar = str | bool | Whole | Annotated[float, Field(strict=True, allow_inf_nan=False)]


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


_FILTER_VALUES = 100
_FILTER_KEYS = 32
_SURROUNDED_HITS = 1000
"""Hits of a batch that may bring their neighbours along; each takes questions of its own."""

Ids = Annotated[list[Id], Field(max_length=_FILTER_VALUES)]
Scalars = Annotated[list[Scalar], Field(max_length=_FILTER_VALUES)]


class Filter(_Body):
    """Which messages to look at; all conditions must hold."""

    after: ZonedTime | None = Field(default=None, description="Said at this time or later.")
    before: ZonedTime | None = Field(default=None, description="Said before this time.")
    conversation_id: Id | Ids | None = None
    role: Id | Ids | None = None
    speaker: Id | Ids | None = None
    kind: Id | Ids | None = None
    metadata: dict[str, Scalar | Scalars] | None = Field(
        default=None, max_length=_FILTER_KEYS, description="A key's value equals this one, or one of these."
    )

    @field_validator("metadata")
    @classmethod
    def _keys(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        check_keys(value or {})
        return value


_LONGEST_HALF_LIFE = 1e10
"""Seconds, some three hundred years."""


class Recency(_Body):
    """How much rather the caller has what was said lately.

    Hits are ordered by relevance · (1 - weight + weight · 0.5 ^ (age / half_life)); their relevance stays what it is.
    Asked about the present, what updates another hit has the relevance of that one here.
    """

    half_life: float = Field(
        strict=True, ge=1, le=_LONGEST_HALF_LIFE, allow_inf_nan=False, description="Seconds until half of it is gone."
    )
    weight: float = Field(
        default=0.5, strict=True, ge=0, le=1, description="0: age does not matter; 1: what is very old comes last."
    )


class SearchIn(_Body):
    """A question about a user's past."""

    user_id: UserId
    query: Text
    limit: Annotated[int, Field(strict=True), AfterValidator(_search_limit)] = 10
    mode: Mode = "hybrid"
    min_relevance: float | None = Field(default=None, strict=True, ge=0, le=1)
    filter: Filter | None = None
    shared: bool = Field(
        default=False, strict=True, description="Look into the documents that belong to all users of the tenant too."
    )
    recency: Recency | None = None
    as_of: ZonedTime | None = Field(
        default=None, description="The time to count ages from, for questions of then. Default: the server's."
    )
    diversity: float = Field(
        default=0.0,
        strict=True,
        ge=0,
        le=1,
        description="How far hits that repeat better ones step back: 0 not at all, 1 behind everything else.",
    )
    neighbours: int = Field(
        default=0,
        strict=True,
        ge=0,
        le=10,
        description="How many turns of its conversation each hit brings along, before it and after it.",
    )
    wait_for: list[WaitPosition] | None = Field(
        default=None, max_length=1000, description="Answer when these are searchable: positions that ingest gave out."
    )
    wait_timeout: float = Field(default=5.0, ge=0, le=60, description="Seconds to wait at the most.")


class ContextIn(SearchIn):
    """A question, to be answered with a text for a prompt; `limit` is how many messages it may draw on.

    With `neighbours`, turns that stand beside those are quoted too, as far as they fit.
    """

    limit: Annotated[int, Field(strict=True), AfterValidator(_search_limit)] = 50
    token_budget: int = Field(strict=True, ge=1, le=1_000_000, description="Tokens of the whole context.")
    encoding: Encoding = "cl100k_base"


class SearchBatchIn(_Body):
    """Several questions at once."""

    searches: list[SearchIn] = Field(min_length=1, max_length=100)

    @field_validator("searches")
    @classmethod
    def _surrounded(cls, value: list[SearchIn]) -> list[SearchIn]:
        hits = sum(search.limit for search in value if search.neighbours)
        if hits > _SURROUNDED_HITS:
            raise ValueError(
                f"ask for up to {hits} hits with neighbours, the sum of their limits is {_SURROUNDED_HITS} at the most"
            )
        return value


class Turn(BaseModel):
    """A message that stands beside a hit in its conversation."""

    message_id: str
    role: str
    speaker: str | None
    text: str = Field(description="Of a long message, its beginning.")
    occurred_at: datetime


class Hit(BaseModel):
    """A message that bears on the question."""

    message_id: str
    conversation_id: str | None
    role: str
    speaker: str | None
    kind: str
    text: str
    passage: str | None = Field(
        default=None, description="Of a long text, the part that answers: number `chunk` of `chunks`. Null if it's all."
    )
    chunk: int = Field(default=0, description="Which of the parts that a long text was cut into answers, from 0.")
    chunks: int = Field(default=1, description="How many parts the text was cut into; they overlap.")
    shared: bool = Field(default=False, description="It is a document that belongs to all users of the tenant.")
    occurred_at: datetime
    metadata: dict[str, Any]
    relevance: float = Field(ge=0, le=1, description="Probability that it bears on the question; alike in every mode.")
    signals: dict[str, float] = Field(
        description="What the relevance was made from: `dense` (cosine) and `keyword` (BM25) of the best of its "
        "`chunks`; where they apply, `neighbours` and `conversation` (what the turns around it add to its score), "
        "`brevity` (1 to 0, the longer it is), `speaker` (the one named said it), `not_own` (asked about oneself, and "
        "said by another), `answers` (tells the time or number asked for), `phrases` and `coverage` (words in common), "
        "`time` (said when the question says), `early` (told before the other candidates, or after them) and `rarity` "
        "(what BM25 lacks in a short history). Of the order: `recency`, `redundancy`, and `updates` (asked about the "
        "present, it was put before one that it updates)."
    )
    before: list[Turn] = Field(
        default_factory=list, description="With `neighbours`: the turns before it, in the order they were said."
    )
    after: list[Turn] = Field(default_factory=list, description="With `neighbours`: the turns after it.")


class SearchOut(BaseModel):
    """The messages that bear on a question, the most relevant first, but for updates, recency and diversity."""

    hits: list[Hit]
    degraded: bool = Field(description="Answered by keywords alone, since the embeddings server is out of reach.")
    pending: list[str] = Field(description="Positions of `wait_for` that were not searchable in time.")
    model: str
    took_ms: float


class SearchBatchOut(BaseModel):
    """The answers, in the order of the questions."""

    results: list[SearchOut]


class Citation(BaseModel):
    """What a number in a context stands for."""

    n: int
    message_id: str
    occurred_at: datetime
    chunk: int = Field(default=0, description="Which part of a long text is quoted, from 0.")
    chunks: int = Field(default=1, description="How many parts the text was cut into.")
    shared: bool = Field(default=False, description="It is a document that belongs to all users of the tenant.")


class ContextOut(BaseModel):
    """A text for a prompt, with its sources."""

    context: str = Field(description="Empty when nothing is relevant enough, or fits.")
    tokens: int
    citations: list[Citation]
    abstained: bool = Field(description="Nothing that the user said bears on the question: say so, don't guess.")
    degraded: bool
    pending: list[str]
    model: str
    took_ms: float


class SimilarityIn(_Body):
    """Texts to compare with each other."""

    texts: list[Text] = Field(min_length=2, max_length=100)


class SimilarityOut(BaseModel):
    """Cosine of every pair of texts: `similarity[i][j]`, in -1..1."""

    model: str
    similarity: list[list[float]]
