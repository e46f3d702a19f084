"""A search of all that a local stack stores, for words that must not be there any more."""

import mmap
import re
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path
from typing import Any

from memstream.client.command.verification import StoreReport
from memstream.contracts.stack import Stack
from memstream.streams.connections import Redis, connect, decoded, redis_faults

_PAGE = 100
"""Entries of a stream that are read at once."""

_FOLDERS = {"append-only file": "redis", "qdrant": "qdrant", "logs": "logs"}
"""Folders of the data directory, by what is stored in them. A server's has the name of its process."""


async def search(home: Path, stack: Stack, fragments: Sequence[str]) -> list[StoreReport]:
    """Search the values in Redis and all files for fragments, as UTF-8, as UTF-16 and escaped as in JSON.

    Files of servers that are not the stack's own are elsewhere, and not searched.

    Raises:
        Unavailable: Redis cannot be reached.

    """
    pattern = _pattern(fragments)
    client = connect(stack.redis_url)
    try:
        with redis_faults():
            names = sorted({name async for name, value in _values(client) if pattern.search(value)})
    finally:
        await client.aclose()
    reports = [StoreReport("redis", names)]
    own = {process.name for process in stack.processes} | {"logs"}
    for store, folder in _FOLDERS.items():
        if folder not in own:
            reports.append(StoreReport(store, None))
            continue
        files = sorted(path for path in (home / folder).rglob("*") if path.is_file())
        reports.append(StoreReport(store, [str(path) for path in files if _is_in_file(pattern, path)]))
    return reports


def _pattern(fragments: Iterable[str]) -> re.Pattern[bytes]:
    forms = {
        form
        for fragment in fragments
        for form in (
            fragment.encode(),
            fragment.encode("utf-16-le"),
            fragment.encode("utf-16-be"),
            _escaped(fragment),
        )
    }
    return re.compile(b"|".join(re.escape(form) for form in sorted(forms)))


def _escaped(fragment: str) -> bytes:
    r"""Return it in ASCII, with JSON's \u escapes."""
    units = fragment.encode("utf-16-be")
    codes = (int.from_bytes(units[at : at + 2], "big") for at in range(0, len(units), 2))
    return b"".join(bytes([code]) if code < 128 else b"\\u%04x" % code for code in codes)  # noqa: PLR2004 - ASCII


def _is_in_file(pattern: re.Pattern[bytes], path: Path) -> bool:
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return pattern.search(content) is not None
    except (FileNotFoundError, ValueError):
        return False  # It was removed meanwhile, or is empty.


async def _values(client: Redis) -> AsyncIterator[tuple[str, bytes]]:
    """Return all values of all keys, each under the name of its key."""
    async for key in client.scan_iter(count=1000):
        name = decoded(key)
        yield name, name.encode()
        match decoded(await client.type(key)):
            case "string":
                value = await client.get(key) or b""
                yield name, value.encode() if isinstance(value, str) else value
            case "stream":
                async for value in _entries(client, name):
                    yield name, value
            case "hash":
                yield name, _joined(await client.hgetall(key))
            case "zset":
                yield name, _joined(await client.zrange(key, 0, -1))
            case "set":
                yield name, _joined(await client.smembers(key))
            case "list":
                yield name, _joined(await client.lrange(key, 0, -1))


async def _entries(client: Redis, stream: str) -> AsyncIterator[bytes]:
    start = "-"
    while True:
        page: Any = await client.xrange(stream, start, "+", _PAGE)
        if not page:
            return
        for _, fields in page:
            yield _joined(fields)
        start = f"({decoded(page[-1][0])}"


def _joined(values: Any) -> bytes:  # noqa: ANN401 - what the server answers
    """Return all bytes of an answer, one behind the other."""
    if isinstance(values, dict):
        return b"\n".join(part for pair in values.items() for part in pair)
    return b"\n".join(values)
