"""Error responses: every one is a problem document (RFC 9457), and all are made here."""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from memstream.contracts.problems import MEDIA_TYPE, FieldError, Problem, ProblemType
from memstream.runtime.errors import (
    Busy,
    Forbidden,
    Full,
    GlobalFault,
    Invalid,
    Late,
    Overloaded,
    OverQuota,
    Rejected,
    TooLarge,
    Unavailable,
)

_log = logging.getLogger(__name__)

Handler = Callable[[Request, Exception], Awaitable[Response]]
"""Returns the response to an error."""

_TYPES = {
    HTTPStatus.BAD_REQUEST: ProblemType.INVALID,
    HTTPStatus.UNAUTHORIZED: ProblemType.UNAUTHENTICATED,
    HTTPStatus.FORBIDDEN: ProblemType.FORBIDDEN,
    HTTPStatus.NOT_FOUND: ProblemType.NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED: ProblemType.METHOD_NOT_ALLOWED,
    HTTPStatus.REQUEST_TIMEOUT: ProblemType.REQUEST_TIMEOUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ProblemType.TOO_LARGE,
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: ProblemType.TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: ProblemType.UNSUPPORTED_MEDIA,
    HTTPStatus.UNPROCESSABLE_ENTITY: ProblemType.INVALID,
    HTTPStatus.TOO_MANY_REQUESTS: ProblemType.OVERLOADED,
    HTTPStatus.SERVICE_UNAVAILABLE: ProblemType.UNAVAILABLE,
}

_MAX_ERRORS = 20
_MAX_ERRORS_IN_DETAIL = 3
_MAX_FIELD_LENGTH = 100
_MAX_MESSAGE_LENGTH = 400
"""Bounds of a response that lists errors. A client can send any number of unknown fields, with names of any length."""

OVER_QUOTA_SECONDS = 0.2
"""A tenant over a limit of its own is told so after this time. Whoever waits as told loses nothing; whoever asks again
at once would keep the process busy with refusals."""

_RETRY_AFTER = 1.0
"""Seconds to wait if the dependency that is down did not report it."""


def problem(  # noqa: PLR0913 - one argument per part of a problem
    status: HTTPStatus,
    detail: str,
    *,
    errors: Sequence[FieldError] = (),
    retry_after: float | None = None,
    headers: Mapping[str, str] | None = None,
    missing_scope: str | None = None,
    limit: str | None = None,
) -> Response:
    """Return a problem response. `retry_after` is in seconds; the header has whole seconds, rounded up."""
    body = Problem(
        type=_TYPES.get(status, ProblemType.INTERNAL),
        title=status.phrase,
        status=status,
        detail=detail,
        errors=list(errors),
        missing_scope=missing_scope,
        limit=limit,
    )
    all_headers = dict(headers or {})
    if retry_after is not None:
        all_headers["Retry-After"] = str(whole_seconds(retry_after))
    if status is HTTPStatus.UNAUTHORIZED:
        all_headers["WWW-Authenticate"] = "Bearer"
    if missing_scope is not None:
        # As in RFC 6750, section 3.1.
        all_headers["WWW-Authenticate"] = f'Bearer error="insufficient_scope", scope="{missing_scope}"'
    return Response(body.model_dump_json(exclude_none=True), status, all_headers, MEDIA_TYPE)


def whole_seconds(retry_after: float) -> int:
    """Return seconds as `Retry-After` has them: whole, rounded up, at least one."""
    return max(1, math.ceil(retry_after))


def field_errors(errors: Sequence[Any], *, skip: int = 0) -> list[FieldError]:
    """Return the first of pydantic's errors as ours, with dotted field names less their first `skip` parts."""
    found = []
    for error in errors[:_MAX_ERRORS]:
        place = [str(part) for part in error["loc"][skip:]]
        message = "is not a field of this request" if error["type"] == "extra_forbidden" else error["msg"]
        found.append(
            FieldError(
                field=".".join(place)[:_MAX_FIELD_LENGTH] or "body",
                message=message.removeprefix("Value error, ")[:_MAX_MESSAGE_LENGTH],
            )
        )
    return found


def invalid(
    errors: Sequence[FieldError],
    status: HTTPStatus = HTTPStatus.UNPROCESSABLE_ENTITY,
    *,
    count: int | None = None,
) -> Response:
    """Return the response that lists wrong fields. `count` is their number if `errors` holds only the first of them."""
    detail = "; ".join(f"{error.field}: {error.message}" for error in errors[:_MAX_ERRORS_IN_DETAIL])
    left = (count or len(errors)) - _MAX_ERRORS_IN_DETAIL
    return problem(status, detail + (f" (and {left} more)" if left > 0 else ""), errors=errors)


def invalid_body(error: ValidationError) -> Response:
    """Return the response to a body that fails validation: 400 if it is not JSON, else 422 with the wrong fields."""
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    malformed = any(e["type"] == "json_invalid" for e in errors)
    status = HTTPStatus.BAD_REQUEST if malformed else HTTPStatus.UNPROCESSABLE_ENTITY
    return invalid(field_errors(errors), status, count=len(errors))


def install(app: FastAPI) -> None:
    """Register the handlers that turn every exception of an endpoint into a problem response."""
    for kind, handler in _HANDLERS.items():
        app.add_exception_handler(kind, handler)
    app.add_exception_handler(Exception, unexpected)


def handler(error: Exception) -> Handler:
    """Return the handler of an error, which is `unexpected` if no other one is registered for its type."""
    return next((_HANDLERS[kind] for kind in type(error).__mro__ if kind in _HANDLERS), unexpected)


async def _request_invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this type
    errors = error.errors()
    malformed = any(e["type"] == "json_invalid" for e in errors)
    # FastAPI puts the part of the request ("body", "query") before the field.
    return invalid(
        field_errors(errors, skip=1),
        HTTPStatus.BAD_REQUEST if malformed else HTTPStatus.UNPROCESSABLE_ENTITY,
        count=len(errors),
    )


async def _body_invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, ValidationError)  # noqa: S101 - registered for this type
    return invalid_body(error)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this type
    status = HTTPStatus(error.status_code)
    detail = error.detail
    if detail == status.phrase:
        detail = f"{request.method} {request.url.path[:_MAX_FIELD_LENGTH]}: {status.phrase}"
    headers = dict(error.headers or {})
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        # The framework names the methods of one route; a path may have several.
        operations = request.app.openapi()["paths"].get(request.url.path, {})
        headers["Allow"] = ", ".join(sorted(map(str.upper, operations))) or headers.get("Allow", "")
    return problem(status, detail, headers=headers)


async def _unavailable(_: Request, error: Exception) -> Response:
    assert isinstance(error, Unavailable)  # noqa: S101 - registered for this type
    _log.warning("unavailable: %s", error)
    what = "did not answer in time" if isinstance(error, Late) else "is out of reach"
    return problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        f"{error.dependency} {what}",
        retry_after=error.retry_after or _RETRY_AFTER,
    )


async def _full(_: Request, error: Exception) -> Response:
    assert isinstance(error, Full)  # noqa: S101 - registered for this type
    # Not logged: there may be thousands a second.
    return problem(HTTPStatus.TOO_MANY_REQUESTS, f"{error.dependency} is full", retry_after=_RETRY_AFTER)


async def _busy(_: Request, error: Exception) -> Response:
    assert isinstance(error, Busy)  # noqa: S101 - registered for this type
    # Not logged: there may be thousands a second, and a metric counts them.
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error), retry_after=error.retry_after or _RETRY_AFTER)


async def _global_fault(_: Request, error: Exception) -> Response:
    assert isinstance(error, GlobalFault)  # noqa: S101 - registered for this type
    _log.error("needs an operator: %s", error)
    return problem(
        HTTPStatus.SERVICE_UNAVAILABLE, f"{error.dependency} does not serve us for now", retry_after=_RETRY_AFTER
    )


async def _overloaded(_: Request, error: Exception) -> Response:
    assert isinstance(error, Overloaded)  # noqa: S101 - registered for this type
    limit = None
    if isinstance(error, OverQuota):
        limit = error.limit
        await asyncio.sleep(OVER_QUOTA_SECONDS)
    return problem(HTTPStatus.TOO_MANY_REQUESTS, str(error), retry_after=error.retry_after, limit=limit)


async def _forbidden(_: Request, error: Exception) -> Response:
    assert isinstance(error, Forbidden)  # noqa: S101 - registered for this type
    errors = [] if error.field is None else [FieldError(field=error.field, message=str(error))]
    return problem(HTTPStatus.FORBIDDEN, str(error), errors=errors, missing_scope=error.missing_scope)


async def _invalid_field(_: Request, error: Exception) -> Response:
    assert isinstance(error, Invalid)  # noqa: S101 - registered for this type
    return invalid([FieldError(field=error.field[:_MAX_FIELD_LENGTH], message=error.message[:_MAX_MESSAGE_LENGTH])])


async def _too_large(_: Request, error: Exception) -> Response:
    assert isinstance(error, TooLarge)  # noqa: S101 - registered for this type
    errors = [FieldError(field=error.field, message=error.message)]
    return problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(error), errors=errors)


async def _rejected(_: Request, error: Exception) -> Response:
    # A dependency refuses this input, and would refuse it again.
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"this can't be served: {error}")


async def _disconnected(_: Request, __: Exception) -> Response:
    # Nobody reads this: the client has disconnected.
    return problem(HTTPStatus.BAD_REQUEST, "the body ended too early")


async def unexpected(_: Request, __: Exception) -> Response:
    """Return the response to a defect. The exception is raised again afterwards, and so logged with its traceback."""
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "an error of ours; it was logged")


_HANDLERS: Mapping[type[Exception], Handler] = {
    RequestValidationError: _request_invalid,
    ValidationError: _body_invalid,
    HTTPException: _http_error,
    Unavailable: _unavailable,
    Busy: _busy,
    Full: _full,
    GlobalFault: _global_fault,
    Overloaded: _overloaded,
    Forbidden: _forbidden,
    Invalid: _invalid_field,
    TooLarge: _too_large,
    Rejected: _rejected,
    ClientDisconnect: _disconnected,
}
"""The handler of each exception type, which serves its subclasses too."""
