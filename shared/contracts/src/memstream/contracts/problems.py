"""Errors in HTTP responses: RFC 9457, `application/problem+json`."""

from enum import StrEnum

from pydantic import BaseModel

MEDIA_TYPE = "application/problem+json"


class ProblemType(StrEnum):
    """All problem types. They are stable: clients may compare them."""

    INVALID = "urn:memstream:problem:invalid"
    """422, 400: a field is wrong; `errors` names it."""
    TOO_LARGE = "urn:memstream:problem:too-large"
    """413: a body, a batch or a text exceeds its limit; 431: headers do."""
    REQUEST_TIMEOUT = "urn:memstream:problem:request-timeout"
    """408: the request was not complete in time."""
    UNSUPPORTED_MEDIA = "urn:memstream:problem:unsupported-media-type"
    """415"""
    UNAUTHENTICATED = "urn:memstream:problem:unauthenticated"
    """401: no key, or one that is not valid."""
    FORBIDDEN = "urn:memstream:problem:forbidden"
    """403: the key does not permit this; `missing_scope` names the scope that it lacks."""
    NOT_FOUND = "urn:memstream:problem:not-found"
    """404"""
    METHOD_NOT_ALLOWED = "urn:memstream:problem:method-not-allowed"
    """405"""
    OVERLOADED = "urn:memstream:problem:overloaded"
    """429: try again after `Retry-After` seconds."""
    UNAVAILABLE = "urn:memstream:problem:unavailable"
    """503: a dependency of this service is down; try again after `Retry-After` seconds."""
    INTERNAL = "urn:memstream:problem:internal"
    """500: a defect of the service."""


class FieldError(BaseModel):
    """What is wrong with one field; nested fields are joined by dots."""

    field: str
    message: str


class Problem(BaseModel):
    """The body of every response with a status of 400 or above."""

    type: ProblemType
    title: str
    status: int
    detail: str
    errors: list[FieldError] = []
    missing_scope: str | None = None
    limit: str | None = None
    """With 429, the tenant's limit that is reached; missing where it is a limit of the service."""
