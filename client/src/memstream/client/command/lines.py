"""JSON lines read as a stream: chunks of a file, lines of chunks, messages of lines, batches of messages."""

import asyncio
import json
import os
import uuid
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

from memstream.contracts.limits import DEFAULT_LIMITS

_CHUNK_BYTES = 256 * 1024
_PAUSE_SECONDS = 0.5
_LINE_BYTES = DEFAULT_LIMITS.batch_bytes

LINE_NAMESPACE = uuid.UUID("0b6c5a4e-7a1b-5d57-8d0c-3f0a4a1c9b62")
"""Namespace of the ids that lines without one are given. It never changes: a second run of a file hangs on it."""


@dataclass(frozen=True, slots=True)
class Line:
    """A message, ready to send: a JSON object with a `message_id`."""

    number: int
    content: bytes
    user_id: str | None


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that was refused, here or by ingest."""

    number: int
    code: str
    reason: str


@dataclass(slots=True)
class Batch:
    """Lines to post together."""

    lines: list[Line] = field(default_factory=list)
    bad: list[BadLine] = field(default_factory=list)
    size: int = 0
    """Bytes to post."""
    span: int = 0
    """Bytes of the file it was made from."""

    @property
    def empty(self) -> bool:
        """It holds nothing, to send or to tell."""
        return not self.lines and not self.bad

    def takes(self, read: Line | BadLine | None, limit: int) -> bool:
        """Say whether there is room for one more. An empty batch takes any line."""
        size = len(read.content) + 1 if isinstance(read, Line) else 0
        return self.empty or (
            len(self.lines) + len(self.bad) < limit and self.size + size <= DEFAULT_LIMITS.batch_bytes
        )

    def add(self, read: Line | BadLine | None, raw: bytes | None) -> None:
        """Put a line in; a blank one counts for the span alone."""
        self.span += (len(raw) if raw is not None else _LINE_BYTES) + 1
        if isinstance(read, Line):
            self.lines.append(read)
            self.size += len(read.content) + 1
        elif read is not None:
            self.bad.append(read)


async def read_chunks(descriptor: int) -> AsyncIterator[bytes | None]:
    """Read a file, pipe or terminal to its end; None says that nothing has come for half a second.

    A cancelled read leaves no thread behind, so Ctrl-C ends even a read from a silent pipe.
    """
    pollable = True
    while True:
        try:
            ready = not pollable or await _readable(descriptor)
        except PermissionError:
            # A regular file or /dev/null: it is always ready, and can't be polled.
            pollable = False
            continue
        if not ready:
            yield None
            continue
        chunk = os.read(descriptor, _CHUNK_BYTES)
        if not chunk:
            return
        yield chunk


async def _readable(descriptor: int) -> bool:
    """Wait for data or the end, at most for a pause."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(descriptor, ready.set)
    try:
        async with asyncio.timeout(_PAUSE_SECONDS):
            await ready.wait()
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(descriptor)
    return True


class LineSplitter:
    """Cuts chunks into lines. A line of more than 8 MiB is dropped while it is read, and given as None."""

    def __init__(self) -> None:
        self._rest = b""
        self._dropping = False

    def feed(self, chunk: bytes) -> Iterator[bytes | None]:
        """Give the lines that a chunk completes."""
        *complete, rest = (self._rest + chunk).split(b"\n")
        for line in complete:
            yield None if self._dropping or len(line) > _LINE_BYTES else line
            self._dropping = False
        self._dropping = self._dropping or len(rest) > _LINE_BYTES
        self._rest = b"" if self._dropping else rest

    def finish(self) -> Iterator[bytes | None]:
        """Give the last line, if it lacks its newline."""
        if self._rest or self._dropping:
            yield None if self._dropping else self._rest


async def batches(
    chunks: AsyncIterable[bytes | None], limit: int = DEFAULT_LIMITS.batch_messages, source: str = ""
) -> AsyncIterator[Batch]:
    """Gather lines into batches that ingest takes: `limit` lines and 8 MiB at the most; a pause closes one early."""
    splitter = LineSplitter()
    number = 0
    batch = Batch()
    async for chunk in chunks:
        for raw in splitter.feed(chunk) if chunk is not None else ():
            number += 1
            read = read_line(number, raw, source)
            if not batch.takes(read, limit):
                yield batch
                batch = Batch()
            batch.add(read, raw)
        if chunk is None and not batch.empty:
            yield batch
            batch = Batch()
    for raw in splitter.finish():
        read = read_line(number + 1, raw, source)
        if not batch.takes(read, limit):
            yield batch
            batch = Batch()
        batch.add(read, raw)
    yield batch


def read_line(number: int, raw: bytes | None, source: str = "") -> Line | BadLine | None:
    """Make a line ready to send; None for a blank one.

    A message without an id gets one made from its text and its place in the `source`, so a second run sends the same
    ids, and another file that says the same sends others.
    """
    if raw is None:
        return BadLine(number, "too-large", f"is over {_LINE_BYTES} bytes")
    content = raw.strip().removeprefix(b"\xef\xbb\xbf")
    if not content:
        return None
    try:
        fields = _fields(content)
    except ValueError as error:
        return BadLine(number, "malformed", str(error))
    user_id = fields.get("user_id")
    return Line(
        number, _identified(f"{source}\0{number}", content, fields), user_id if isinstance(user_id, str) else None
    )


def _fields(content: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(content.decode("utf-8"), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise ValueError(f"is not UTF-8, at byte {error.start + 1}") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON: {error.msg}, at character {error.pos + 1}") from error
    except RecursionError as error:
        raise ValueError("is JSON that is nested too deeply") from error
    if not isinstance(fields, dict):
        raise ValueError("is not a JSON object")  # noqa: TRY004 - of the line, not of a type of ours
    return fields


def _identified(place: str, content: bytes, fields: dict[str, Any]) -> bytes:
    if fields.get("message_id") is not None or not fields:
        return content
    message_id = str(uuid.uuid5(LINE_NAMESPACE, f"{place}\0{content.decode('utf-8')}"))
    if "message_id" in fields:
        return json.dumps(fields | {"message_id": message_id}).encode()
    # Spliced in rather than written anew: what the line says stays as it is, to the digit.
    return b'{"message_id":"%s",' % message_id.encode() + content[1:]


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")
