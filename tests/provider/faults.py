"""What can go wrong with a provider, by name."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal

FaultName = Literal[
    "rate_limit",
    "server_error",
    "unavailable",
    "unauthorized",
    "insufficient_quota",
    "unknown_model",
    "bad_request",
    "timeout",
    "dropped",
    "wrong_count",
    "shuffled",
    "wrong_dimension",
    "not_a_number",
    "repeated",
    "page",
]
"""The first seven are answers with an error, `timeout` and `dropped` are none, the rest are answers that are wrong.

An embeddings answer can't be `repeated` (an index stands there twice), a ranking has no `wrong_dimension`.
"""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error as OpenAI writes it."""

    status: int
    kind: str
    code: str | None
    message: str

    def body(self) -> dict[str, object]:
        """Give the JSON of the answer."""
        return {"error": {"message": self.message, "type": self.kind, "param": None, "code": self.code}}


_LIMITED, _SERVER = "rate_limit_error", "server_error"

REFUSALS: dict[str, Refusal] = {
    "rate_limit": Refusal(HTTPStatus.TOO_MANY_REQUESTS, _LIMITED, "rate_limit_exceeded", "Rate limit reached."),
    "server_error": Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, _SERVER, None, "The server had an error."),
    "unavailable": Refusal(HTTPStatus.SERVICE_UNAVAILABLE, _SERVER, None, "The engine is overloaded."),
    "unauthorized": Refusal(
        HTTPStatus.UNAUTHORIZED, "invalid_request_error", "invalid_api_key", "Incorrect API key provided."
    ),
    "insufficient_quota": Refusal(
        HTTPStatus.TOO_MANY_REQUESTS, "insufficient_quota", "insufficient_quota", "You exceeded your current quota."
    ),
    "unknown_model": Refusal(
        HTTPStatus.NOT_FOUND, "invalid_request_error", "model_not_found", "The model does not exist."
    ),
    "bad_request": Refusal(HTTPStatus.BAD_REQUEST, "invalid_request_error", None, "'$.input' is invalid."),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a call, and for how long the caller is asked to wait."""

    name: FaultName
    retry_after: float | None = None
