"""What Qdrant's refusals and failures mean: the errors that say what to do about them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from qdrant_client.common.client_exceptions import QdrantException, ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from memstream.runtime.errors import AnswerTooLarge, GlobalFault, MemstreamError, Throttled
from memstream.vectors.server_errors import (
    error_for_no_answer,
    error_for_status,
    error_for_unreadable_answer,
    read_retry_after,
    reason_of,
)
from memstream.vectors.store.memory import DEPENDENCY
from memstream.vectors.transport import ResponseTooLarge

_NO_STATUS = 500
"""What an answer without a status counts as."""

_REFUSES_EVERYTHING = re.compile(
    r"index required but not found|search disabled!|request is forbidden|max [a-z ]{1,40} limit of .{1,30}? reached"
    r"|(?:resident memory|disk) usage is at|no range index for",
    re.IGNORECASE,
)
"""What a server says that refuses a request for what its operator allows, and not for what is in it. Limits on the size
of a request are not among them: a smaller one may pass."""


def error_for_answer(status: int, message: str, retry_after: float | None = None) -> MemstreamError:
    """Return the error for an answer whose status is no success."""
    if status == HTTPStatus.BAD_REQUEST and _REFUSES_EVERYTHING.search(message):
        return GlobalFault(DEPENDENCY, reason_of(status, message))
    return error_for_status(DEPENDENCY, status, message, retry_after)


@contextmanager
def readable() -> Iterator[None]:
    """Translate the error of an answer that is not what was asked for. Its text is left out: it may be a user's."""
    try:
        yield
    except ValueError as error:
        raise error_for_unreadable_answer(DEPENDENCY, error) from None


@contextmanager
def qdrant_faults() -> Iterator[None]:
    """Translate what qdrant-client raises into the errors that say what to do about it."""
    try:
        yield
    except ResourceExhaustedResponse as error:
        raise Throttled(DEPENDENCY, "too many requests", float(error.retry_after_s)) from error
    except QdrantException as error:
        # The other reason for it: a 429 whose Retry-After is no whole number.
        raise Throttled(DEPENDENCY, "too many requests") from error
    except ResponseTooLarge as error:
        raise AnswerTooLarge(DEPENDENCY, f"its answer is too large: {error}") from error
    except ResponseHandlingException as error:
        raise error_for_no_answer(DEPENDENCY, error.source) from error
    except UnexpectedResponse as error:
        message = error.content.decode(errors="replace")
        retry_after = read_retry_after(error.headers)
        raise error_for_answer(error.status_code or _NO_STATUS, message, retry_after) from error
    except OSError as error:
        raise error_for_no_answer(DEPENDENCY, error) from error
