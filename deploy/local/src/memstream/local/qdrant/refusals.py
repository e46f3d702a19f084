"""The refusals a client can get, in the words and with the status codes of a Qdrant server."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

_OURS = re.compile(r"^(Service (runtime )?error|IO Error|OutOfMemory|Inconsistent)", re.IGNORECASE)
_CLOSED = "Shard is not initialized"
_CANCELLED = "Operation cancelled"


class Refusal(Exception):
    """A request that ends in an error answer: ``status`` is the HTTP status, the text goes to the client."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class EngineClosedError(Exception):
    """The engine's files were closed, by a deletion or for a change of configuration, before the call reached it."""


def malformed(text: str) -> Refusal:
    """Answer a body that isn't what the operation takes (400)."""
    return Refusal(400, f"Format error in JSON body: {text}")


def invalid(field: str, text: str) -> Refusal:
    """Answer a value of the right type that breaks a rule (422)."""
    return Refusal(422, f"Validation error in JSON body: [{field}: {text}]")


def wrong(text: str) -> Refusal:
    """Answer a request that doesn't fit the collection (400)."""
    return Refusal(400, f"Wrong input: {text}")


def not_found(text: str) -> Refusal:
    """Answer a request for something that isn't there (404)."""
    return Refusal(404, f"Not found: {text}")


def no_collection(name: str) -> Refusal:
    """Answer a request for a collection that isn't there (404)."""
    return not_found(f"Collection `{name}` doesn't exist!")


def unsupported(what: str) -> Refusal:
    """Answer something that a Qdrant server can do and this one cannot (501)."""
    return Refusal(501, f"Not supported by the embedded Qdrant: {what}")


@contextmanager
def engine_words() -> Iterator[None]:
    """Translate the engine's errors into refusals; it raises bare ``Exception``, so the text has to tell them apart."""
    try:
        yield
    except (Refusal, EngineClosedError):
        raise
    except (ValueError, TypeError, OverflowError) as error:
        raise malformed(str(error).splitlines()[0]) from error
    except Exception as error:
        text = str(error)
        if _CLOSED in text:
            raise EngineClosedError from error
        if text.startswith("No point with id"):
            raise not_found(f"{text} found") from error
        if text.startswith(_CANCELLED):
            raise wrong(
                "a formula has no value for some candidate: give missing keys in `defaults`, and `by_zero_default`"
            ) from error
        if _OURS.match(text):
            raise Refusal(500, f"Service internal error: {text}") from error
        raise wrong(text.removeprefix("Validation failed: ")) from error
