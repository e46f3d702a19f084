"""What to do about a server that gave no good answer: retry, fix something, or reject this input. Pure."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from itertools import islice

from memstream.runtime.errors import GlobalFault, MemstreamError, Rejected, Throttled, Unavailable

_TRANSIENT = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_EARLY})
_WITHOUT_ANSWER = frozenset(
    {"ConnectError", "ConnectTimeout", "ReadTimeout", "WriteTimeout", "PoolTimeout", "APITimeoutError"}
)
"""Errors of client libraries that are raised before there is an answer to quote."""
_LONGEST = 300
_SEARCHED = 2_000
_INPUT_ERRORS = frozenset(
    {HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY}
)
"""Any other answer (a wrong key, a redirect, a page that isn't there) is about the connection, not about an input."""

_KNOWN = re.compile(
    r"rate limit reached|too many requests|exceeded your current quota|overloaded|unavailable|server had an error"
    r"|incorrect api key|invalid api key|unauthorized|forbidden|permission denied|must provide an api key"
    r"|model\b.{0,100}?\bdoes not exist|maximum context length is \d{1,9} tokens|'\$\.input' is invalid"
    r"|too many inputs|input is too long|invalid model|batch size|wrong input|format error in json body"
    r"|vector dimension error: expected dim: \d{1,9}, got \d{1,9}|not existing vector name|doesn't exist"
    r"|index required but not found(?: for \\?\"[a-z_]{1,40}\\?\")?|strict mode|search disabled!|request is forbidden"
    r"|max [a-z ]{1,40} limit of [\w .]{1,30}? reached|(?:resident memory|disk) usage is at \d{1,3}%"
    r"|limit exceeded \d{1,12} > \d{1,12}|no space left|out of disk|out of memory|read-only|timed? ?out"
    r"|shutting down|consistency|no such field|unknown field|service is (?:not ready|starting)",
    re.IGNORECASE,
)
"""What servers are known to say, and what says something to an operator. Nothing else of their texts is kept: they may
quote their input, or an answer of theirs."""
_FREE = re.compile(r"(?<=^model).*(?=does not exist$)", re.IGNORECASE)
_MOST_PHRASES = 3


def reason_of(status: int, message: str) -> str:
    """Return in short what a server answered: its status, and of its text only known phrases, never a user's words."""
    phrases = [
        _FREE.sub(" … ", found[0].lower().replace("\\", ""))
        for found in islice(_KNOWN.finditer(message[:_SEARCHED]), _MOST_PHRASES)
    ]
    return f"HTTP {status}" + (f": {'; '.join(dict.fromkeys(phrases))}" if phrases else "")


def error_for_status(dependency: str, status: int, message: str, retry_after: float | None = None) -> MemstreamError:
    """Return the error for a status that is no success; `retry_after` are the seconds it asks to wait, if it does."""
    reason = reason_of(status, message)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Throttled(dependency, reason, retry_after)
    if status in _TRANSIENT or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Unavailable(dependency, reason, retry_after)
    if status in _INPUT_ERRORS:
        return Rejected(reason, dependency)
    return GlobalFault(dependency, reason)


def error_for_no_answer(dependency: str, error: Exception) -> Unavailable:
    """Return the error for what came instead of an answer: a timeout, a refused connection, what can't be read."""
    if isinstance(error, ValueError):
        return error_for_unreadable_answer(dependency, error)
    name = type(error).__name__
    if isinstance(error, OSError) or name in _WITHOUT_ANSWER:
        # What the system says of a connection.
        return Unavailable(dependency, f"{name}: {error}"[:_LONGEST])
    # It may quote what came over the connection.
    return Unavailable(dependency, name)


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
