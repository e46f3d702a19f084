"""What a case of the worst inputs is: a request, and what it is sent to."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Case:
    """A request that is as bad as the limits allow."""

    name: str
    service: str
    """`retriever` or `ingest`."""
    path: str
    body: bytes
    media: str = "application/json"
    at_once: int = 1
    """How many of it are sent at once, by the tenants in turn."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message that must be stored before the cases are sent."""

    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Suite:
    """The cases of a service, and what they need."""

    cases: Sequence[Case]
    messages: Sequence[Message] = ()


def as_json(**fields: Any) -> bytes:  # noqa: ANN401 - of a body
    """Return a body."""
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
