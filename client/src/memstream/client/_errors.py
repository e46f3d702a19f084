"""What can go wrong in a call, and the one place where an answer becomes an error. The package draws the tree."""

from collections.abc import Mapping
from http import HTTPStatus

from pydantic import ValidationError

from memstream.contracts.problems import FieldError, Problem, ProblemType

_QUOTED = 200
_LONGEST_WAIT = 86_400.0


class MemstreamClientError(Exception):
    """Any error of a call. Its text is one line."""

    def __init__(self, message: str, *, status: int | None = None, problem: Problem | None = None) -> None:
        super().__init__(" ".join(message.split()))
        self.status = status
        """The answer's HTTP status, if there was an answer."""
        self.problem = problem
        """The answer's body, if it was one of Memstream's."""

    @property
    def type(self) -> ProblemType | None:
        """The problem's stable type."""
        return self.problem.type if self.problem else None


class InvalidRequest(MemstreamClientError):
    """The request is wrong, and stays wrong however often it is sent."""

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
        """What is wrong with which field."""


class TooLarge(InvalidRequest):
    """A body, a batch or a text is over its limit."""


class Unauthenticated(MemstreamClientError):
    """The key is missing or not known."""


class Forbidden(MemstreamClientError):
    """The key is known and may not do this."""


class NotFound(MemstreamClientError):
    """There is no such thing."""


class _TryLater(MemstreamClientError):
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
        """Seconds the service asked for, if it did."""


class Overloaded(_TryLater):
    """The service has taken on as much as it can for now."""


class Unavailable(_TryLater):
    """Something the service needs is down for now."""


class ConnectionFailed(MemstreamClientError):
    """Nothing answered, or not in time."""


class ServerFault(MemstreamClientError):
    """The service failed, or what answered is not Memstream."""


_KINDS: dict[int, type[MemstreamClientError]] = {
    HTTPStatus.UNAUTHORIZED: Unauthenticated,
    HTTPStatus.FORBIDDEN: Forbidden,
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: TooLarge,
    HTTPStatus.TOO_MANY_REQUESTS: Overloaded,
    HTTPStatus.BAD_GATEWAY: Unavailable,
    HTTPStatus.SERVICE_UNAVAILABLE: Unavailable,
    HTTPStatus.GATEWAY_TIMEOUT: Unavailable,
}


def refusal(url: str, status: int, headers: Mapping[str, str], body: bytes) -> MemstreamClientError:
    """Make the error that an answer other than 2xx stands for."""
    problem = _problem(body)
    kind = _KINDS.get(status)
    if kind is None:
        refused = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
        kind = InvalidRequest if refused else ServerFault
    if problem is None:
        told = body[:_QUOTED].decode(errors="replace").strip()
        message = f"{url} answered {status}" + (f": {told}" if told else "")
    else:
        message = "; ".join([problem.detail, *(f"{error.field}: {error.message}" for error in problem.errors)])
    if issubclass(kind, _TryLater):
        return kind(message, retry_after=_seconds(headers.get("retry-after")), status=status, problem=problem)
    return kind(message, status=status, problem=problem)


def malformed(what: str, error: ValidationError) -> InvalidRequest:
    """Make the error for a request that was found wrong before it was sent."""
    errors = [
        FieldError(
            field=".".join(str(part) for part in fault["loc"]),
            message=fault["msg"].removeprefix("Value error, "),
        )
        for fault in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    told = "; ".join(f"{error.field}: {error.message}" for error in errors)
    return InvalidRequest(f"the {what} is not valid: {told}", errors=errors)


def _problem(body: bytes) -> Problem | None:
    try:
        return Problem.model_validate_json(body)
    except ValidationError:
        return None


def _seconds(value: str | None) -> float | None:
    """Read `Retry-After`; of its two forms, Memstream sends seconds."""
    try:
        seconds = float(value) if value else None
    except ValueError:
        return None
    return min(seconds, _LONGEST_WAIT) if seconds is not None and seconds >= 0 else None
