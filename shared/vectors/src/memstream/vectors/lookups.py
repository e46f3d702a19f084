"""What is asked of stored points that needs no score."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from qdrant_client import models


@dataclass(frozen=True, slots=True)
class Record:
    """A stored point."""

    id: str
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Order:
    """By the times in a field, from one of them on; the earliest first, or the latest."""

    field: str
    start: datetime | None = None
    descending: bool = False

    @property
    def by(self) -> models.OrderBy:
        """Say it in Qdrant's terms."""
        direction = models.Direction.DESC if self.descending else models.Direction.ASC
        return models.OrderBy(key=self.field, direction=direction, start_from=self.start)


@dataclass(frozen=True, slots=True)
class Lookup:
    """Points of an owner's to give as they are: so many at the most, in an order or by their ids."""

    owner: str
    conditions: models.Filter
    count: int
    order: Order | None = None
    leave_out: tuple[str, ...] = ()
    """Fields of the payload that nobody wants."""
