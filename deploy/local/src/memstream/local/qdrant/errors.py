"""The errors a client can get, with the wording and the status codes of a Qdrant server."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

_INTERNAL = re.compile(r"^(Service (runtime )?error|IO Error|OutOfMemory|Inconsistent)", re.IGNORECASE)
_CLOSED = "Shard is not initialized"


class ApiError(Exception):
    """A request that fails with an HTTP status; the client gets the text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class EngineClosedError(Exception):
    """The collection was deleted before the call reached the engine."""


def malformed(text: str) -> ApiError:
    """Return the error for a body of the wrong form (400)."""
    return ApiError(400, f"Format error in JSON body: {text}")


def invalid(field: str, text: str) -> ApiError:
    """Return the error for a value of the right type that breaks a rule (422)."""
    return ApiError(422, f"Validation error in JSON body: [{field}: {text}]")


def wrong_input(text: str) -> ApiError:
    """Return the error for a request that doesn't fit the collection (400)."""
    return ApiError(400, f"Wrong input: {text}")


def not_found(text: str) -> ApiError:
    """Return the error for something that doesn't exist (404)."""
    return ApiError(404, f"Not found: {text}")


def no_collection(name: str) -> ApiError:
    """Return the error for a collection that doesn't exist (404)."""
    return not_found(f"Collection `{name}` doesn't exist!")


def unsupported(what: str) -> ApiError:
    """Return the error for something that a Qdrant server can do and this one cannot (501)."""
    return ApiError(501, f"Not supported by the embedded Qdrant: {what}")


@contextmanager
def engine_errors() -> Iterator[None]:
    """Translate the engine's errors. It raises bare ``Exception``, so only the text tells them apart."""
    try:
        yield
    except (ApiError, EngineClosedError):
        raise
    except (ValueError, TypeError, OverflowError) as error:
        raise malformed(str(error).splitlines()[0]) from error
    except Exception as error:
        text = str(error)
        if _CLOSED in text:
            raise EngineClosedError from error
        if text.startswith("No point with id"):
            raise not_found(f"{text} found") from error
        if _INTERNAL.match(text):
            raise ApiError(500, f"Service internal error: {text}") from error
        raise wrong_input(text.removeprefix("Validation failed: ")) from error
