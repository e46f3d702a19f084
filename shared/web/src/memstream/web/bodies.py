"""Reading a request's body without trusting its size."""

from collections.abc import AsyncIterator

from starlette.requests import Request

from memstream.runtime.errors import TooLarge


async def read_body(request: Request, limit: int) -> bytes:
    """Read the whole body.

    Raises:
        TooLarge: it is larger than `limit` bytes.

    """
    return b"".join([chunk async for chunk in stream_body(request, limit)])


async def stream_body(request: Request, limit: int) -> AsyncIterator[bytes]:
    """Give the body's pieces as they arrive.

    Raises:
        TooLarge: it is larger than `limit` bytes.

    """
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limit:
        raise _too_large(limit)
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        yield chunk


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"body: is over the limit of {limit} bytes")
