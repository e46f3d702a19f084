"""Reading a request's body without trusting its size."""

from collections.abc import AsyncIterator
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from memstream.runtime.errors import TooLarge
from memstream.web.headers import header

JSON = "application/json"


def media_type(request: Request) -> str:
    """Give the type of the body, without parameters and in small letters; "" when none is given."""
    return header(request, b"content-type").partition(";")[0].strip().lower()


def unsupported_media(*takes: str) -> HTTPException:
    """Make the error that says which types are taken."""
    return HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"content-type: send {' or '.join(takes)}")


async def read_json(request: Request, limit: int) -> bytes:
    """Read the whole body, which has to be JSON by its type; one without a type is taken for it.

    Raises:
        HTTPException: 415, it is of another type.
        TooLarge: it is larger than `limit` bytes.

    """
    if media_type(request) not in {"", JSON}:
        raise unsupported_media(JSON)
    return await read_body(request, limit)


async def read_body(request: Request, limit: int) -> bytes:
    """Read the whole body.

    Raises:
        TooLarge: it is larger than `limit` bytes.
        ClientDisconnect: the caller hung up before its end.

    """
    _check_announced(request, limit)
    body, more = await _piece(request)
    if not more and len(body) <= limit:
        return body
    pieces, size = [body], len(body)
    while more and size <= limit:
        piece, more = await _piece(request)
        pieces.append(piece)
        size += len(piece)
    if size > limit:
        raise _too_large(limit)
    return b"".join(pieces)


async def stream_body(request: Request, limit: int) -> AsyncIterator[bytes]:
    """Give the body's pieces as they arrive.

    Raises:
        TooLarge: it is larger than `limit` bytes.
        ClientDisconnect: the caller hung up before its end.

    """
    _check_announced(request, limit)
    size, more = 0, True
    while more:
        piece, more = await _piece(request)
        size += len(piece)
        if size > limit:
            raise _too_large(limit)
        yield piece


def _check_announced(request: Request, limit: int) -> None:
    announced = header(request, b"content-length")
    if announced.isdigit() and int(announced) > limit:
        raise _too_large(limit)


async def _piece(request: Request) -> tuple[bytes, bool]:
    """Give the next piece, and whether others follow."""
    message = await request.receive()
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    return message.get("body", b""), message.get("more_body", False)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"body: is over the limit of {limit} bytes")
