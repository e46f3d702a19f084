"""How `memstream send` reads a file of JSON lines."""

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from memstream.client.command.jsonl import Batch, Line, LineSplitter, Rejection, batches, read_chunks, read_line

MIB = 1024 * 1024


def line(raw: bytes, number: int = 1) -> Line:
    read = read_line(number, raw)
    assert isinstance(read, Line)
    return read


async def chunks_of(*chunks: bytes | None) -> AsyncIterator[bytes | None]:
    for chunk in chunks:
        yield chunk


async def gathered(*chunks: bytes | None, limit: int = 1000) -> list[Batch]:
    return [batch async for batch in batches(chunks_of(*chunks), limit)]


def test_a_line_with_an_id_goes_out_byte_for_byte() -> None:
    raw = b'{ "message_id": "m-1",  "text": "\xc3\xa9", "metadata": {"n": 1.10} }\r'

    assert line(raw).content == raw.strip()


def test_a_line_without_an_id_gets_the_same_one_at_every_run() -> None:
    raw = b'{"user_id": "ana", "text": "hello", "metadata": {"n": 1.10}}'
    first, again = line(raw), line(raw)

    assert first == again
    assert first.user_id == "ana"
    assert json.loads(first.content) == {**json.loads(raw), "message_id": json.loads(first.content)["message_id"]}
    assert first.content.endswith(raw[1:]), "the rest of the line is untouched"


def test_equal_lines_at_different_places_are_different_messages() -> None:
    raw = b'{"user_id": "ana", "text": "yes"}'

    assert line(raw, 1).content != line(raw, 2).content


def test_an_id_of_null_counts_as_none() -> None:
    fields = json.loads(line(b'{"message_id": null, "text": "x"}').content)

    assert isinstance(fields["message_id"], str)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"{oops", "is not JSON: Expecting property name"),
        (b"[1]", "is not a JSON object"),
        (b'"text"', "is not a JSON object"),
        (b"\xff\xfe", "is not UTF-8, at byte 1"),
        (b'{"text": NaN}', "NaN is not a JSON number"),
        (b"[" * 100_000, "is JSON that is nested too deeply"),
    ],
    ids=lambda value: value[:12] if isinstance(value, bytes) else "",
)
def test_a_bad_line_has_a_reason(raw: bytes, reason: str) -> None:
    bad = read_line(7, raw)

    assert isinstance(bad, Rejection)
    assert bad.number == 7
    assert bad.reason.startswith(reason)


def test_a_byte_order_mark_is_no_part_of_the_first_line() -> None:
    assert line(b'\xef\xbb\xbf{"message_id": "m"}').content == b'{"message_id": "m"}'


def test_lines_are_cut_wherever_the_chunks_end() -> None:
    splitter = LineSplitter()
    whole = b"one\ntwo\n\nthree"

    lines = [line for byte in whole for line in splitter.feed(bytes([byte]))]

    assert [*lines, *splitter.finish()] == [b"one", b"two", b"", b"three"]


def test_a_line_over_the_limit_is_dropped_while_it_is_read() -> None:
    splitter = LineSplitter()
    lines = [line for _ in range(9) for line in splitter.feed(b"x" * MIB)]

    assert lines == []
    assert list(splitter.feed(b"x\nnext\n")) == [None, b"next"]
    assert list(splitter.finish()) == []


async def test_batches_hold_at_most_so_many_lines_and_count_them_as_the_file_does() -> None:
    (first, second) = await gathered(b'{"text":"1"}\n\nbad\n{"text":"4"}\n{"text":"5"}', limit=3)

    assert [one.number for one in first.lines] == [1, 4]
    assert [one.number for one in first.rejections] == [3]
    assert [one.number for one in second.lines] == [5]
    assert first.file_bytes + second.file_bytes == len(b'{"text":"1"}\n\nbad\n{"text":"4"}\n{"text":"5"}') + 1


async def test_batches_hold_at_most_eight_mib() -> None:
    message = b'{"message_id":"m","text":"' + b"x" * MIB + b'"}\n'

    sizes = [batch.size for batch in await gathered(*[message] * 20)]

    assert len(sizes) == 3
    assert all(size <= 8 * MIB for size in sizes)


async def test_a_pause_sends_what_is_there() -> None:
    first, second, rest = await gathered(b'{"text":"1"}\n', None, None, b'{"text":"2"}\n', None)

    assert [len(batch.lines) for batch in (first, second, rest)] == [1, 1, 0]


async def test_a_file_is_read_to_its_end(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * 1_000_000)
    descriptor = os.open(file, os.O_RDONLY)
    try:
        read = [chunk async for chunk in read_chunks(descriptor)]
    finally:
        os.close(descriptor)

    assert sum(len(chunk or b"") for chunk in read) == 1_000_000


async def test_a_silent_pipe_says_that_nothing_comes() -> None:
    reader, writer = os.pipe()
    try:
        chunks = read_chunks(reader)
        os.write(writer, b"one")
        assert await anext(chunks) == b"one"
        assert await anext(chunks) is None
    finally:
        os.close(writer)
    assert [chunk async for chunk in chunks] == []
    os.close(reader)
