"""The optional keyword arguments of searches, contexts and timelines.

Each has the name, type and default of the request body's field. One that is left out, or None, is not sent.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Required, TypedDict

from memstream.contracts.searches import Encoding, Filter, Mode, Recency

Time = datetime | str
"""A time with a time zone: a datetime, or a text such as `2026-01-31T09:30:00+01:00`."""


class SearchOptions(TypedDict, total=False):
    """Keyword arguments of `search`."""

    limit: int | None
    """How many hits at most; for a context, how many messages it may quote. Default: 10, and 50 for a context."""
    mode: Mode | None
    """`hybrid` (the default), `dense` (by meaning only) or `keyword` (by words only)."""
    min_relevance: float | None
    """Hits whose relevance is lower are left out, 0 to 1."""
    filter: Filter | Mapping[str, Any] | None
    """Conditions that every hit meets: a `Filter`, or its fields."""
    shared: bool | None
    """Also search the documents that belong to all users. Default: no."""
    recency: Recency | Mapping[str, float] | None
    """How much recent messages are preferred: `half_life` in seconds, and `weight`, 0 to 1."""
    as_of: Time | None
    """The time from which ages are counted. Default: the server's current time."""
    diversity: float | None
    """How far a hit that repeats a better one is moved down, 0 (the default) to 1."""
    neighbours: int | None
    """How many turns of its conversation come with each hit, before it and after it, 0 (the default) to 10."""
    wait_for: Sequence[str] | None
    """Positions that `send` returned: the search waits until those messages are searchable."""
    wait_timeout: float | None
    """Seconds to wait for them at most. Default: 5."""


class ContextOptions(SearchOptions, total=False):
    """Keyword arguments of `context`."""

    token_budget: Required[int]
    """Tokens of the whole context at most."""
    encoding: Encoding | None
    """How tokens are counted: `cl100k_base` (the default) or `o200k_base`."""


class TimelineOptions(TypedDict, total=False):
    """Keyword arguments of `timeline` and `messages`."""

    cursor: str | None
    """The `cursor` of the page before. Default: begin with the first page."""
    limit: int | None
    """Messages of a page at most, 1 to 100. Default: 50; `messages` fetches pages of 100."""
    after: Time | None
    """Only messages said at this time or later."""
    before: Time | None
    """Only messages said before this time."""
    conversation_id: str | None
    """Only messages of this conversation."""


class DeadLetterFilters(TypedDict, total=False):
    """Keyword arguments of `Operator.page` and `Operator.dead_letters`. All conditions must hold."""

    dead_class: str | None
    """`poison` (can't succeed) or `unknown` (was tried too often)."""
    reason: str | None
    """A part of the reason."""
    tenant: str | None
    """The name of a tenant."""
    after: Time | None
    """Only letters that died at this time or later."""
    before: Time | None
    """Only letters that died before this time."""


def given(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that were set: those that are not None."""
    return {name: value for name, value in options.items() if value is not None}
