"""HTTP bodies of the retriever."""

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
    WithJsonSchema,
    field_validator,
)

from memstream.contracts.ids import Id, UserId, limits_in_force
from memstream.contracts.keys import Position
from memstream.contracts.limits import DEFAULT_LIMITS
from memstream.contracts.messages import (
    METADATA_KEYS_SCHEMA,
    TIME_PATTERN,
    MessageContent,
    Text,
    check_keys,
    written_time,
)

Mode = Literal["hybrid", "dense", "keyword"]
Encoding = Literal["cl100k_base", "o200k_base"]
"""The tokenizer that counts tokens, by OpenAI's name of its encoding."""


def _position(value: str) -> str:
    return str(Position.parse(value))


def _zoned(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("has no time zone; write it as 2026-01-31T09:30:00Z or with an offset")
    return value


def _search_limit(value: int, info: ValidationInfo) -> int:
    limit = limits_in_force(info).search_limit
    if not 1 <= value <= limit:
        raise ValueError(f"is {value}, it takes 1 to {limit}")
    return value


WaitPosition = Annotated[
    str,
    StringConstraints(strict=True),
    AfterValidator(_position),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^([0-9]{1,3}|10[01][0-9]|102[0-3])\.(live|bulk)\.[0-9]{1,19}-[0-9]{1,19}$",
        }
    ),
]
ZonedTime = Annotated[
    datetime,
    BeforeValidator(written_time),
    AfterValidator(_zoned),
    WithJsonSchema({"type": "string", "format": "date-time", "pattern": f"^[0-9]{{4}}{TIME_PATTERN}"}),
]
SearchLimit = Annotated[
    int,
    Field(strict=True),
    AfterValidator(_search_limit),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": DEFAULT_LIMITS.search_limit}),
]
Integer = Annotated[int, Field(strict=True, ge=-(2**63), lt=2**63)]
Scalar = str | bool | Integer | Annotated[float, Field(strict=True, allow_inf_nan=False)]


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


_FILTER_VALUES = 100
_FILTER_KEYS = 32
_HITS_WITH_NEIGHBOURS = 1000
"""Maximum of hits with neighbours in a batch; each needs queries of its own."""

# One error says enough: to find them all takes longer than anything else.
Ids = Annotated[list[Id], Field(max_length=_FILTER_VALUES, fail_fast=True)]
Scalars = Annotated[list[Scalar], Field(max_length=_FILTER_VALUES, fail_fast=True)]


class Filter(_Body):
    """Conditions on the messages to search; all of them must hold."""

    after: ZonedTime | None = Field(default=None, description="Only messages from this time on.")
    before: ZonedTime | None = Field(default=None, description="Only messages before this time.")
    conversation_id: Id | Ids | None = None
    role: Id | Ids | None = None
    speaker: Id | Ids | None = None
    kind: Id | Ids | None = None
    metadata: dict[str, Scalar | Scalars] | None = Field(
        default=None,
        max_length=_FILTER_KEYS,
        json_schema_extra={"propertyNames": METADATA_KEYS_SCHEMA},
        description="The value of each key equals this value, or one of these values.",
    )

    @field_validator("metadata")
    @classmethod
    def _check_keys(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        check_keys(value or {})
        return value


_LONGEST_HALF_LIFE = 1e10
"""Seconds; about three hundred years."""


class Recency(_Body):
    """How much the order of hits prefers recent messages.

    Hits are ordered by relevance · (1 - weight + weight · 0.5 ^ (age / half_life)); `relevance` itself does not change.
    For a query about the present, a hit that updates another one counts with that one's relevance.
    """

    half_life: float = Field(
        strict=True,
        ge=1,
        le=_LONGEST_HALF_LIFE,
        allow_inf_nan=False,
        description="Age in seconds at which the preference has halved.",
    )
    weight: float = Field(
        default=0.5, strict=True, ge=0, le=1, description="0: age has no effect; 1: very old messages come last."
    )


class SearchIn(_Body):
    """A search of a user's messages."""

    user_id: UserId
    query: Text
    limit: SearchLimit = Field(default=10, description="Maximum of hits.")
    mode: Mode = "hybrid"
    min_relevance: float | None = Field(default=None, strict=True, ge=0, le=1)
    filter: Filter | None = None
    shared: bool = Field(
        default=False, strict=True, description="Also search the documents that are shared by all users of the tenant."
    )
    recency: Recency | None = None
    as_of: ZonedTime | None = Field(
        default=None, description="The time at which the query is asked: ages are counted from it. Default: now."
    )
    diversity: float = Field(
        default=0.0,
        strict=True,
        ge=0,
        le=1,
        description="How far hits that repeat better ones are moved down: 0 not at all, 1 behind all others.",
    )
    neighbours: int = Field(
        default=0,
        strict=True,
        ge=0,
        le=10,
        description="How many turns of the conversation to return before and after each hit.",
    )
    wait_for: list[WaitPosition] | None = Field(
        default=None,
        max_length=1000,
        description="Wait until the messages at these positions are searchable; ingest returned the positions.",
    )
    wait_timeout: float = Field(default=5.0, strict=True, ge=0, le=60, description="Maximum of seconds to wait.")

    @property
    def messages(self) -> int:
        """How many messages its answer may have, neighbours included."""
        return self.limit * (1 + 2 * self.neighbours)

    @field_validator("diversity", "neighbours")
    @classmethod
    def _limit_product(cls, value: float, info: ValidationInfo) -> float:
        limits, limit = limits_in_force(info), info.data.get("limit", 0)
        if info.field_name == "neighbours":
            _check("limit · (1 + 2 · neighbours)", round(limit * (1 + 2 * value)), limits.search_messages)
        elif value > 0:
            _check("limit with diversity", limit, limits.diverse_hits)
        return value

    @field_validator("wait_for")
    @classmethod
    def _limit_positions(cls, value: list[str] | None, info: ValidationInfo) -> list[str] | None:
        _check("positions in wait_for", len(value or ()), limits_in_force(info).wait_positions)
        return value


class ContextIn(SearchIn):
    """A search whose result is a context for a prompt.

    With `neighbours`, the turns before and after each message are quoted too, if they fit.
    """

    limit: SearchLimit = Field(default=50, description="Maximum of messages that the context draws on.")
    token_budget: int = Field(strict=True, ge=1, le=1_000_000, description="Maximum of tokens in the context.")
    encoding: Encoding = "cl100k_base"

    @field_validator("token_budget")
    @classmethod
    def _limit_budget(cls, value: int, info: ValidationInfo) -> int:
        _check("token_budget", value, limits_in_force(info).token_budget)
        return value


MAX_SEARCHES = 100
"""Searches of one batch."""


class SearchBatchIn(_Body):
    """Several searches in one request."""

    searches: list[SearchIn] = Field(min_length=1, max_length=MAX_SEARCHES)

    @field_validator("searches")
    @classmethod
    def _limit_products(cls, value: list[SearchIn], info: ValidationInfo) -> list[SearchIn]:
        hits = sum(search.limit for search in value if search.neighbours)
        if hits > _HITS_WITH_NEIGHBOURS:
            raise ValueError(f"ask for up to {hits} hits with neighbours, the limit is {_HITS_WITH_NEIGHBOURS} in sum")
        limits = limits_in_force(info)
        _check("limit · (1 + 2 · neighbours)", sum(search.messages for search in value), limits.search_messages)
        _check("limit with diversity", sum(one.limit for one in value if one.diversity > 0), limits.diverse_hits)
        _check("positions in wait_for", sum(len(search.wait_for or ()) for search in value), limits.wait_positions)
        return value


def _check(what: str, asked: int, limit: int) -> None:
    if asked > limit:
        raise ValueError(f"{what} is {asked} in sum, the limit is {limit}")


class Turn(BaseModel):
    """A message before or after a hit in its conversation."""

    message_id: str
    role: str
    speaker: str | None
    text: str = Field(description="The beginning, if the message is long.")
    occurred_at: datetime


class Hit(MessageContent):
    """A message that is relevant to the query."""

    passage: str | None = Field(
        default=None,
        description="The best matching part of a long text: number `chunk` of `chunks`. Null if the text has one part.",
    )
    chunk: int = Field(default=0, description="The best matching part of the text, counted from 0.")
    chunks: int = Field(default=1, description="How many parts the text was split into; they overlap.")
    shared: bool = Field(
        default=False, description="Whether it is a document that is shared by all users of the tenant."
    )
    relevance: float = Field(
        ge=0,
        le=1,
        description="Probability that the message is relevant to the query, judged against the query's other hits; "
        "comparable across queries and modes. If the answer says `calibrated: false`, it orders the hits, but its "
        "value is a guess: do not apply a threshold to it.",
    )
    signals: dict[str, float] = Field(
        description="Values that the relevance was made from and that changed the order of the hits, by name, where "
        "they apply. docs/features.md lists them."
    )
    before: list[Turn] = Field(
        default_factory=list, description="With `neighbours`: the turns before it, oldest first."
    )
    after: list[Turn] = Field(default_factory=list, description="With `neighbours`: the turns after it, oldest first.")


Calibrated = Annotated[
    bool,
    Field(
        description="Whether relevances are probabilities. False if it is not known yet what cosines mean in the "
        "embedding space in use: the retriever measures that as soon as the embeddings server answers."
    ),
]
NotStored = Annotated[
    dict[str, Literal["dead", "deleted", "unknown"]],
    Field(
        description="Positions of `wait_for` that will not become searchable, and why: the message is a dead letter, "
        "it was deleted, or no message of yours has this position (any more: a deletion removes it some time after). "
        "The last are not waited for, and `pending` too."
    ),
]
Reranked = Annotated[
    bool,
    Field(
        description="Whether a rerank server decided the order of the best hits. False if none is set up, if it gave "
        "no usable answer in time, and if there was nothing to put in order."
    ),
]


class SearchOut(BaseModel):
    """The hits, most relevant first; updates, recency and diversity may change the order."""

    hits: list[Hit]
    degraded: bool = Field(
        description="The embeddings server cannot be reached; the hits were found by keywords alone."
    )
    calibrated: Calibrated = True
    reranked: Reranked = False
    pending: list[str] = Field(description="Positions of `wait_for` that were not searchable in time.")
    not_stored: NotStored = {}
    model: str
    took_ms: float


class SearchBatchOut(BaseModel):
    """The results, in the order of the searches."""

    results: list[SearchOut]


class Citation(BaseModel):
    """The message that a number in a context refers to."""

    n: int
    message_id: str
    occurred_at: datetime
    chunk: int = Field(default=0, description="The part of the text that is quoted, counted from 0.")
    chunks: int = Field(default=1, description="How many parts the text was split into.")
    shared: bool = Field(
        default=False, description="Whether it is a document that is shared by all users of the tenant."
    )


class ContextOut(BaseModel):
    """A context for a prompt, with its sources."""

    context: str = Field(description="Empty if no message is relevant enough, or none fits.")
    tokens: int
    citations: list[Citation]
    abstained: bool = Field(description="No message is relevant to the query: tell the user so instead of guessing.")
    degraded: bool
    calibrated: Calibrated = True
    reranked: Reranked = False
    pending: list[str]
    not_stored: NotStored = {}
    model: str
    took_ms: float


class SimilarityIn(_Body):
    """Texts to compare in pairs."""

    texts: list[Text] = Field(min_length=2, max_length=100)


class SimilarityOut(BaseModel):
    """The cosine similarity of every pair of texts: `similarity[i][j]`, -1 to 1."""

    model: str
    similarity: list[list[float]]
