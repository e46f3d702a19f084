"""Reading request bodies, each up to a size limit, and all of a process within its budget."""

import asyncio
import zlib
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from memstream.runtime.errors import TooLarge
from memstream.web.body_budget import hold_of
from memstream.web.headers import header

JSON = "application/json"
GZIP = "gzip"

_GZIP_FORMAT = 16 + zlib.MAX_WBITS
_PIECE_BYTES = 64 * 1024


class _Chunk(NamedTuple):
    """A part of a body, and whether more may follow."""

    data: bytes
    more: bool


def media_type(request: Request) -> str:
    """Return the body's media type in lower case, without parameters, or "" if the request names none."""
    return header(request, b"content-type").partition(";")[0].strip().lower()


def unsupported_media(*takes: str) -> HTTPException:
    """Return the error that names the media types a route accepts."""
    return HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"content-type: send {' or '.join(takes)}")


async def read_json(request: Request, limit: int) -> bytes:
    """Return the whole body of a request whose media type is JSON, or missing.

    Raises:
        HTTPException: 415, the media type is another one; what `read_body` raises.
        TooLarge: the body is larger than `limit` bytes.
        ClientDisconnect: the client disconnected before the end of the body.

    """
    if media_type(request) not in {"", JSON}:
        raise unsupported_media(JSON)
    return await read_body(request, limit)


async def read_body(request: Request, limit: int) -> bytes:
    """Return the whole body.

    Raises:
        HTTPException: the body is encoded in a way that is not supported, or wrongly.
        TooLarge: the body is larger than `limit` bytes.
        Overloaded: too much of unfinished bodies is held already.
        ClientDisconnect: the client disconnected before the end of the body.

    """
    _check_content_length(request, limit)
    first = await _chunk(request)
    if not first.more and len(first.data) <= limit and not header(request, b"content-encoding"):
        return first.data
    return b"".join([data async for data in _decoded_chunks(request, first, limit)])


async def stream_body(request: Request, limit: int) -> AsyncIterator[bytes]:
    """Yield the body's chunks as they arrive, decompressed.

    Raises:
        HTTPException: the body is encoded in a way that is not supported, or wrongly.
        TooLarge: the body is larger than `limit` bytes.
        Overloaded: too much of unfinished bodies is held already.
        ClientDisconnect: the client disconnected before the end of the body.

    """
    _check_content_length(request, limit)
    async for data in _decoded_chunks(request, await _chunk(request), limit):
        yield data


def _check_content_length(request: Request, limit: int) -> None:
    length = header(request, b"content-length")
    if length.isdigit() and int(length) > limit:
        raise _too_large(limit)


async def _decoded_chunks(request: Request, first: _Chunk, limit: int) -> AsyncIterator[bytes]:
    encoding = header(request, b"content-encoding").strip().lower()
    hold = hold_of(request)
    chunks = _chunks(request, first)
    if encoding == GZIP:
        chunks = _decompressed(chunks)
    elif encoding not in {"", "identity"}:
        raise HTTPException(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "content-encoding: send gzip, or none", {"Accept-Encoding": GZIP}
        )
    size = 0
    async for chunk in chunks:
        size += len(chunk.data)
        if size > limit:
            raise _too_large(limit)
        if hold is not None and chunk.more:
            await hold.take(len(chunk.data))
        yield chunk.data


async def _chunks(request: Request, chunk: _Chunk) -> AsyncIterator[_Chunk]:
    yield chunk
    while chunk.more:
        chunk = await _chunk(request)
        yield chunk


async def _chunk(request: Request) -> _Chunk:
    message = await request.receive()
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    return _Chunk(message.get("body", b""), message.get("more_body", False))


async def _decompressed(chunks: AsyncIterator[_Chunk]) -> AsyncIterator[_Chunk]:
    """Yield what is in gzip data, in pieces of a bounded size however well it is compressed."""
    gzip = zlib.decompressobj(_GZIP_FORMAT)
    async for chunk in chunks:
        rest = chunk.data
        while rest:
            try:
                piece = gzip.decompress(rest, _PIECE_BYTES)
            except zlib.error:
                raise _not_gzip("can't be read") from None
            if gzip.unused_data:
                raise _not_gzip("has something behind its end")
            rest = gzip.unconsumed_tail
            yield _Chunk(piece, more=True)
            await asyncio.sleep(0)
        if not chunk.more and not gzip.eof:
            raise _not_gzip("ends too early")


def _not_gzip(what: str) -> HTTPException:
    return HTTPException(HTTPStatus.BAD_REQUEST, f"content-encoding: the gzip data {what}")


def _too_large(limit: int) -> TooLarge:
    return TooLarge("body", f"is over the limit of {limit} bytes")
