"""Reading request bodies, each up to a size limit."""

from collections.abc import AsyncIterator
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from memstream.runtime.errors import TooLarge
from memstream.web.headers import header

JSON = "application/json"


def media_type(request: Request) -> str:
    """Return the body's media type in lower case, without parameters, or "" if the request names none."""
    return header(request, b"content-type").partition(";")[0].strip().lower()


def unsupported_media(*takes: str) -> HTTPException:
    """Return the error that names the media types a route accepts."""
    return HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"content-type: send {' or '.join(takes)}")


async def read_json(request: Request, limit: int) -> bytes:
    """Return the whole body of a request whose media type is JSON, or missing.

    Raises:
        HTTPException: 415, the media type is another one.
        TooLarge: the body is larger than `limit` bytes.
        ClientDisconnect: the client disconnected before the end of the body.

    """
    if media_type(request) not in {"", JSON}:
        raise unsupported_media(JSON)
    return await read_body(request, limit)


async def read_body(request: Request, limit: int) -> bytes:
    """Return the whole body.

    Raises:
        TooLarge: the body is larger than `limit` bytes.
        ClientDisconnect: the client disconnected before the end of the body.

    """
    _check_content_length(request, limit)
    body, more = await _chunk(request)
    if not more and len(body) <= limit:
        return body
    chunks, size = [body], len(body)
    while more and size <= limit:
        chunk, more = await _chunk(request)
        chunks.append(chunk)
        size += len(chunk)
    if size > limit:
        raise _too_large(limit)
    return b"".join(chunks)


async def stream_body(request: Request, limit: int) -> AsyncIterator[bytes]:
    """Yield the body's chunks as they arrive.

    Raises:
        TooLarge: the body is larger than `limit` bytes.
        ClientDisconnect: the client disconnected before the end of the body.

    """
    _check_content_length(request, limit)
    size, more = 0, True
    while more:
        chunk, more = await _chunk(request)
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        yield chunk


def _check_content_length(request: Request, limit: int) -> None:
    length = header(request, b"content-length")
    if length.isdigit() and int(length) > limit:
        raise _too_large(limit)


async def _chunk(request: Request) -> tuple[bytes, bool]:
    """Return the next chunk, and whether more follow."""
    message = await request.receive()
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    return message.get("body", b""), message.get("more_body", False)


def _too_large(limit: int) -> TooLarge:
    return TooLarge("body", f"is over the limit of {limit} bytes")
