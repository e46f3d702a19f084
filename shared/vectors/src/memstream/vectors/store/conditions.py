"""Conditions on stored messages. They say what must hold; a store's adapter says it in its server's terms."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

Scalar = str | bool | int | float


@dataclass(frozen=True, slots=True)
class OneOf:
    """A keyword field has one of these values; with no values, nothing matches."""

    field: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MetadataIsOneOf:
    """A key of the metadata has one of these values; 1 and 1.0 are equal. With no values, nothing matches."""

    key: str
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Within:
    """A time field lies between `start`, inclusive, and `end`, exclusive; None is no bound."""

    field: str
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class At:
    """A time field is exactly this time."""

    field: str
    time: datetime


@dataclass(frozen=True, slots=True)
class FirstChunk:
    """The chunk is a message's first one. It stands for the message, and carries its whole text."""


Condition = OneOf | MetadataIsOneOf | Within | At | FirstChunk

Conditions = Sequence[Condition]
"""All of them must hold; none of them: everything matches."""
