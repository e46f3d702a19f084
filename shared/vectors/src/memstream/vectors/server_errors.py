"""What to do about a server that gave no good answer: retry, fix something, or reject this input. Pure."""

from collections.abc import Mapping
from http import HTTPStatus

from memstream.runtime.errors import GlobalFault, MemstreamError, Rejected, Throttled, Unavailable

_TRANSIENT = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_EARLY})
_INPUT_ERRORS = frozenset(
    {HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY}
)
"""Any other answer (a wrong key, a redirect, a page that isn't there) is about the connection, not about an input."""
_LONGEST = 300


def reason_of(status: int, message: str) -> str:
    """Return in short what a server answered."""
    return f"HTTP {status}: {message}"[:_LONGEST]


def error_for_status(dependency: str, status: int, message: str, retry_after: float | None = None) -> MemstreamError:
    """Return the error for a status that is no success; `retry_after` are the seconds it asks to wait, if it does."""
    reason = reason_of(status, message)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Throttled(dependency, reason, retry_after)
    if status in _TRANSIENT or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Unavailable(dependency, reason, retry_after)
    if status in _INPUT_ERRORS:
        return Rejected(reason[: _LONGEST - len(dependency) - 2], dependency)
    return GlobalFault(dependency, reason)


def error_for_no_answer(dependency: str, error: Exception) -> Unavailable:
    """Return the error for what came instead of an answer: a timeout, a refused connection, what can't be read."""
    if isinstance(error, ValueError):
        return error_for_unreadable_answer(dependency, error)
    return Unavailable(dependency, f"{type(error).__name__}: {error}"[:_LONGEST])


def error_for_unreadable_answer(dependency: str, error: Exception) -> Unavailable:
    """Return the error for an answer that is not what was asked for. What it holds is left out: it may be of a user."""
    return Unavailable(dependency, f"it gave an answer that can't be read: {type(error).__name__}")


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that an answer asks to wait; None when it doesn't.

    A date instead of seconds is passed over: it would need this machine's clock to agree with the provider's.
    """
    milliseconds = read_number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    return read_number(headers.get("retry-after"))


def read_number(text: str | None) -> float | None:
    """Return the number in a header; None unless it is finite and not negative."""
    try:
        value = float(text) if text else None
    except ValueError:
        return None
    return value if value is not None and 0 <= value < float("inf") else None
