"""What is done to a link happens to those on it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Literal

import pytest
import pytest_asyncio
from reliability.links import Link, Watch
from reliability.points import Point
from waiting import until

UPSERT = b"PUT /collections/memstream/points?wait=true HTTP/1.1\r\n\r\n"
DONE = b"HTTP/1.1 200 OK\r\n\r\n"


async def end(writer: asyncio.StreamWriter) -> None:
    """Close a connection, in whatever state it is."""
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


class Far:
    """The server at the end of a link: notes what it is sent, and answers that it is done."""

    def __init__(self) -> None:
        self.heard = b""
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer everything."""
        self.connections += 1
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(1000):
                self.heard += data
                writer.write(DONE)
        await end(writer)
        self.connections -= 1


class Gate(asyncio.Event):
    """Counts who comes to it."""

    arrivals = 0

    async def wait(self) -> Literal[True]:
        """Count, and wait."""
        self.arrivals += 1
        return await super().wait()


@pytest.fixture
def far() -> Far:
    """Make a server."""
    return Far()


@pytest_asyncio.fixture
async def link(far: Far) -> AsyncIterator[Link]:
    """Lead a link to it."""
    server = await asyncio.start_server(far.serve, "127.0.0.1", 0)
    link = Link("embedder-1", "qdrant", server.sockets[0].getsockname()[1])
    await link.open()
    yield link
    link.mend()
    await link.close()
    await until(lambda: far.connections == 0, "no connection is left")
    server.close()


async def connect(link: Link) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", link.port)


async def hear(reader: asyncio.StreamReader) -> bytes:
    """Return what comes next; nothing if the connection breaks."""
    try:
        return await reader.read(1000)
    except ConnectionError:
        return b""


async def say(link: Link) -> bytes:
    """Say something on a connection of its own, and return the answer; nothing if the connection breaks."""
    reader, writer = await connect(link)
    try:
        writer.write(UPSERT)
        return await hear(reader)
    finally:
        await end(writer)


def watch(link: Link, phase: str, *, goes_on: bool) -> Watch:
    async def act(_: Link) -> bool:
        await asyncio.sleep(0)
        return goes_on

    point = Point("a point", "embedder", "qdrant", "upsert", phase)  # type: ignore[arg-type]
    armed = Watch(point, act, [link])
    link.watches.append(armed)
    return armed


async def test_a_link_that_is_left_alone_carries_everything(link: Link, far: Far) -> None:
    assert await say(link) == DONE
    assert far.heard == UPSERT


async def test_a_cut_link_breaks_connections_and_refuses_new_ones(link: Link) -> None:
    reader, writer = await connect(link)
    writer.write(UPSERT)
    assert await reader.read(1000) == DONE
    link.refuses = True
    link.break_off()
    assert await hear(reader) == b""
    await end(writer)
    assert await say(link) == b""
    link.mend()
    assert await say(link) == DONE


async def test_on_a_stalled_link_everything_comes_late(link: Link, far: Far) -> None:
    link.flowing = gate = Gate()
    saying = asyncio.create_task(say(link))
    await until(lambda: gate.arrivals == 1, "what was said is held up")
    assert (saying.done(), far.heard) == (False, b"")
    link.mend()
    assert await saying == DONE


@pytest.mark.parametrize(("phase", "arrives"), [("before", False), ("sent", True), ("answered", True)])
async def test_who_dies_at_a_moment_says_and_hears_nothing_after_it(
    link: Link, far: Far, phase: str, *, arrives: bool
) -> None:
    armed = watch(link, phase, goes_on=False)
    assert await say(link) == b""
    assert armed.hit.is_set()
    await until(lambda: (far.heard == UPSERT) == arrives, "it has come as far as it should")
    assert await say(link) == DONE


@pytest.mark.parametrize("phase", ["before", "sent", "answered"])
async def test_who_lives_on_after_a_moment_goes_on(link: Link, phase: str) -> None:
    armed = watch(link, phase, goes_on=True)
    assert await say(link) == DONE
    assert armed.hit.is_set()
    assert link.watches == []
