"""What the errors of Qdrant's client turn into."""

import httpx
import pytest
from pydantic import BaseModel, ValidationError
from qdrant_client.common.client_exceptions import QdrantException, ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from memstream.runtime.errors import GlobalFault, MemstreamError, Rejected, Throttled, Unavailable
from memstream.vectors.server_errors import error_for_no_answer, error_for_status
from memstream.vectors.store.qdrant.faults import qdrant_faults


class Answer(BaseModel):
    """What was expected."""

    result: int


def unreadable_answer() -> ValidationError:
    """Make the error of an answer that holds a user's words where something else should be."""
    with pytest.raises(ValidationError) as caught:
        Answer.model_validate({"result": "I left my keys at the gym."})
    return caught.value


def unexpected(status: int, **headers: str) -> UnexpectedResponse:
    """Make the error of an answer with this status."""
    return UnexpectedResponse(status, "why", b"Strict mode: I left my keys at the gym.", httpx.Headers(headers))


def translated(error: Exception) -> MemstreamError:
    """Let it pass, and give what came of it."""
    with pytest.raises(MemstreamError) as caught, qdrant_faults():
        raise error
    return caught.value


@pytest.mark.parametrize(
    ("error", "expected", "says"),
    [
        (ResourceExhaustedResponse("slow", retry_after_s=3), Throttled, "too many requests"),
        (QdrantException("Retry-After header value is not a valid integer: soon"), Throttled, "too many requests"),
        (unexpected(500), Unavailable, "HTTP 500: strict mode"),
        (unexpected(400), Rejected, "Qdrant: HTTP 400: strict mode"),
        (unexpected(404), GlobalFault, "HTTP 404: strict mode"),
        (ResponseHandlingException(httpx.ConnectError("refused")), Unavailable, "ConnectError: refused"),
        (ResponseHandlingException(unreadable_answer()), Unavailable, "can't be read: ValidationError"),
        (ConnectionResetError("gone"), Unavailable, "ConnectionResetError: gone"),
    ],
)
def test_each_error_of_the_client_becomes_the_one_that_says_what_to_do(
    error: Exception, expected: type[MemstreamError], says: str
) -> None:
    became = translated(error)

    assert type(became) is expected
    assert says in str(became)
    assert "keys" not in str(became)


def test_the_seconds_that_a_server_asks_to_wait_are_kept() -> None:
    asked = translated(unexpected(503, **{"retry-after": "7"}))

    assert isinstance(asked, Unavailable)
    assert asked.retry_after == 7.0


def test_a_refused_input_says_why_with_and_without_who_refused_it() -> None:
    refused = error_for_status("Qdrant", 422, "no such field")

    assert isinstance(refused, Rejected)
    assert (str(refused), refused.reason) == ("Qdrant: HTTP 422: no such field", "HTTP 422: no such field")


@pytest.mark.parametrize("status", [400, 401, 404, 413, 422, 429, 500, 503])
@pytest.mark.parametrize(
    "says",
    [
        "'I left my keys at the gym.' is invalid",
        '{"error": {"message": "cannot embed: I left my keys at the gym.", "param": "I left my keys"}}',
        "Wrong input: I left my keys at the gym.",
        "The model `I left my keys` does not exist",
        "I left my keys\nat the gym. " * 1000,
    ],
)
def test_nothing_that_a_server_quotes_is_repeated(status: int, says: str) -> None:
    said = str(error_for_status("the server", status, says))

    assert f"HTTP {status}" in said
    assert "keys" not in said
    assert "gym" not in said
    assert len(said) < 200


def test_what_broke_while_an_answer_was_read_is_named_without_what_was_read() -> None:
    said = str(error_for_no_answer("the server", httpx.RemoteProtocolError("illegal line: b'I left my keys'")))

    assert said == "the server: RemoteProtocolError"
