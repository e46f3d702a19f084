"""The errors of a call, and the one place where an HTTP answer becomes an error. The package shows the tree."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from memstream.contracts.problems import FieldError, Problem, ProblemType

Body = TypeVar("Body", bound=BaseModel)

_QUOTED_BYTES = 200
_LONGEST_RETRY_AFTER = 86_400.0
"""Seconds."""


class MemstreamClientError(Exception):
    """Any error of a call. Its message is one line."""

    def __init__(self, message: str, *, status: int | None = None, problem: Problem | None = None) -> None:
        super().__init__(" ".join(message.split()))
        self.status = status
        """The answer's HTTP status, if there was an answer."""
        self.problem = problem
        """The answer's body, if Memstream wrote it."""

    @property
    def type(self) -> ProblemType | None:
        """The problem's type, which never changes between versions; None without a problem."""
        return self.problem.type if self.problem else None


class InvalidRequest(MemstreamClientError):
    """The request is wrong. Sending it again does not help."""

    def __init__(
        self,
        message: str,
        *,
        errors: list[FieldError] | None = None,
        status: int | None = None,
        problem: Problem | None = None,
    ) -> None:
        super().__init__(message, status=status, problem=problem)
        self.errors = errors if errors is not None else list(problem.errors) if problem else []
        """The fields that are wrong, and why."""


class TooLarge(InvalidRequest):
    """A body, a batch or a text is over its limit."""


class Unauthenticated(MemstreamClientError):
    """The API key is missing, unknown, revoked or expired."""


class Forbidden(MemstreamClientError):
    """The API key is valid, but does not allow this: `problem.missing_scope` names the scope that it lacks."""


class NotFound(MemstreamClientError):
    """What was asked for does not exist."""


class _TemporaryError(MemstreamClientError):
    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        status: int | None = None,
        problem: Problem | None = None,
    ) -> None:
        super().__init__(message, status=status, problem=problem)
        self.retry_after = retry_after
        """Seconds that the service asked the caller to wait, if it did."""


class Overloaded(_TemporaryError):
    """The service has as much work as it can take at the moment."""


class Unavailable(_TemporaryError):
    """Something that the service needs is temporarily down."""


class ConnectionFailed(MemstreamClientError):
    """No answer came, or not in time."""


class ServerFault(MemstreamClientError):
    """The service failed, or the answer did not come from Memstream."""


_ERROR_BY_STATUS: dict[int, type[MemstreamClientError]] = {
    HTTPStatus.UNAUTHORIZED: Unauthenticated,
    HTTPStatus.FORBIDDEN: Forbidden,
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: TooLarge,
    HTTPStatus.TOO_MANY_REQUESTS: Overloaded,
    HTTPStatus.BAD_GATEWAY: Unavailable,
    HTTPStatus.SERVICE_UNAVAILABLE: Unavailable,
    HTTPStatus.GATEWAY_TIMEOUT: Unavailable,
}


def error_from_response(url: str, status: int, headers: Mapping[str, str], body: bytes) -> MemstreamClientError:
    """Return the error for an answer whose status is not 2xx."""
    problem = _problem(body)
    kind = _ERROR_BY_STATUS.get(status)
    if kind is None:
        is_client_error = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
        kind = InvalidRequest if is_client_error else ServerFault
    if problem is None:
        quoted = body[:_QUOTED_BYTES].decode(errors="replace").strip()
        message = f"{url} answered {status}" + (f": {quoted}" if quoted else "")
    else:
        message = "; ".join([problem.detail, *(f"{error.field}: {error.message}" for error in problem.errors)])
    if issubclass(kind, _TemporaryError):
        retry_after = _retry_after(headers.get("retry-after"))
        return kind(message, retry_after=retry_after, status=status, problem=problem)
    return kind(message, status=status, problem=problem)


def validated(kind: type[Body], fields: object, name: str) -> Body:
    """Return the request body that `fields` make, checked before it is sent; `name` is what the error calls it.

    Raises:
        InvalidRequest: a field is missing, unknown or wrong; `errors` names it.

    """
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        errors = [
            FieldError(
                field=".".join(str(part) for part in fault["loc"]),
                message=fault["msg"].removeprefix("Value error, "),
            )
            for fault in error.errors(include_url=False, include_context=False, include_input=False)
        ]
        reasons = "; ".join(f"{error.field}: {error.message}" for error in errors)
        raise InvalidRequest(f"the {name} is not valid: {reasons}", errors=errors) from error


def _problem(body: bytes) -> Problem | None:
    try:
        return Problem.model_validate_json(body)
    except ValidationError:
        return None


def _retry_after(value: str | None) -> float | None:
    """Return the seconds of a `Retry-After` header. Its other form, a date, is never sent by Memstream."""
    try:
        seconds = float(value) if value else None
    except ValueError:
        return None
    return min(seconds, _LONGEST_RETRY_AFTER) if seconds is not None and seconds >= 0 else None
