"""JSON lines, read as a stream: chunks of a file, split into lines, parsed as messages, gathered into batches."""

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
_MAX_LINE_BYTES = DEFAULT_LIMITS.batch_bytes

LINE_NAMESPACE = uuid.UUID("0b6c5a4e-7a1b-5d57-8d0c-3f0a4a1c9b62")
"""Namespace of the ids for messages without one. It never changes: sending a file again must give the same ids."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line that is ready to send: a JSON object with a `message_id`."""

    number: int
    content: bytes
    user_id: str | None


@dataclass(frozen=True, slots=True)
class Rejection:
    """A line that was rejected, by the command or by ingest."""

    number: int
    code: str
    reason: str


@dataclass(slots=True)
class Batch:
    """Lines to send in one request, and the rejected lines among them."""

    lines: list[Line] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    size: int = 0
    """Bytes to send."""
    file_bytes: int = 0
    """Bytes of the file that it was read from, blank and rejected lines included."""

    @property
    def is_empty(self) -> bool:
        """Whether it holds no line, not even a rejected one."""
        return not self.lines and not self.rejections

    def has_room(self, read: Line | Rejection | None, max_lines: int) -> bool:
        """Return whether one more line fits. An empty batch has room for any line."""
        size = len(read.content) + 1 if isinstance(read, Line) else 0
        return self.is_empty or (
            len(self.lines) + len(self.rejections) < max_lines and self.size + size <= DEFAULT_LIMITS.batch_bytes
        )

    def add(self, read: Line | Rejection | None, raw: bytes | None) -> None:
        """Add a line; a blank one, None, counts only for `file_bytes`."""
        self.file_bytes += (len(raw) if raw is not None else _MAX_LINE_BYTES) + 1
        if isinstance(read, Line):
            self.lines.append(read)
            self.size += len(read.content) + 1
        elif read is not None:
            self.rejections.append(read)


async def read_chunks(descriptor: int) -> AsyncIterator[bytes | None]:
    """Iterate over the chunks of a file, pipe or terminal to its end; None means that no data came for half a second.

    Reading uses no thread, so Ctrl-C works even while a pipe is silent.
    """
    pollable = True
    while True:
        try:
            ready = not pollable or await _readable(descriptor)
        except PermissionError:
            # A regular file or /dev/null is always ready, and can't be polled.
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
    """Wait until there is data, or the end; return False if there is neither within half a second."""
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
    """Splits chunks into lines. A line of more than 8 MiB is discarded while it is read, and returned as None."""

    def __init__(self) -> None:
        self._rest = b""
        self._is_discarding = False

    def feed(self, chunk: bytes) -> Iterator[bytes | None]:
        """Iterate over the lines that end in this chunk."""
        *complete, rest = (self._rest + chunk).split(b"\n")
        for line in complete:
            yield None if self._is_discarding or len(line) > _MAX_LINE_BYTES else line
            self._is_discarding = False
        self._is_discarding = self._is_discarding or len(rest) > _MAX_LINE_BYTES
        self._rest = b"" if self._is_discarding else rest

    def finish(self) -> Iterator[bytes | None]:
        """Iterate over what follows the last newline: one line, or none."""
        if self._rest or self._is_discarding:
            yield None if self._is_discarding else self._rest


async def batches(
    chunks: AsyncIterable[bytes | None], max_lines: int = DEFAULT_LIMITS.batch_messages, source: str = ""
) -> AsyncIterator[Batch]:
    """Gather lines into batches of at most `max_lines` lines and 8 MiB; a pause in the data ends a batch early.

    `source` is the file's name, as for `read_line`.
    """
    splitter = LineSplitter()
    number = 0
    batch = Batch()
    async for chunk in chunks:
        for raw in splitter.feed(chunk) if chunk is not None else ():
            number += 1
            read = read_line(number, raw, source)
            if not batch.has_room(read, max_lines):
                yield batch
                batch = Batch()
            batch.add(read, raw)
        if chunk is None and not batch.is_empty:
            yield batch
            batch = Batch()
    for raw in splitter.finish():
        read = read_line(number + 1, raw, source)
        if not batch.has_room(read, max_lines):
            yield batch
            batch = Batch()
        batch.add(read, raw)
    yield batch


def read_line(number: int, raw: bytes | None, source: str = "") -> Line | Rejection | None:
    """Parse a line, and return it ready to send; return None for a blank line. `raw` is None if the line was too long.

    A message without an id gets one that is derived from its text, its line number and the name of its `source`. So
    sending a file again sends the same ids, and equal messages of different files get different ids.
    """
    if raw is None:
        return Rejection(number, "too-large", f"is over {_MAX_LINE_BYTES} bytes")
    content = raw.strip().removeprefix(b"\xef\xbb\xbf")
    if not content:
        return None
    try:
        fields = _fields(content)
    except ValueError as error:
        return Rejection(number, "malformed", str(error))
    user_id = fields.get("user_id")
    sent = _with_message_id(f"{source}\0{number}", content, fields)
    return Line(number, sent, user_id if isinstance(user_id, str) else None)


def _fields(content: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(content.decode("utf-8"), parse_constant=_reject_constant)
    except UnicodeDecodeError as error:
        raise ValueError(f"is not UTF-8, at byte {error.start + 1}") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON: {error.msg}, at character {error.pos + 1}") from error
    except RecursionError as error:
        raise ValueError("is JSON that is nested too deeply") from error
    if not isinstance(fields, dict):
        raise ValueError("is not a JSON object")  # noqa: TRY004 - the input is wrong, not the code
    return fields


def _with_message_id(position: str, content: bytes, fields: dict[str, Any]) -> bytes:
    if fields.get("message_id") is not None or not fields:
        return content
    message_id = str(uuid.uuid5(LINE_NAMESPACE, f"{position}\0{content.decode('utf-8')}"))
    if "message_id" in fields:
        return json.dumps(fields | {"message_id": message_id}).encode()
    # Inserted into the text instead of serialised again, which could change the digits of numbers.
    return b'{"message_id":"%s",' % message_id.encode() + content[1:]


def _reject_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")
