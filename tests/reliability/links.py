"""The ways between the parts: each is a small TCP proxy that can be cut, stalled and slowed, and that knows moments."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from reliability.points import Phase, Point
from reliability.wire import HttpTalk, RedisTalk, Talk, Word

_READ_BYTES = 65536

Act = Callable[["Link"], Awaitable[bool]]
"""What is done at a moment; says whether the bytes that made it known go on their way."""


@dataclass(slots=True)
class Watch:
    """Waits on some links for one moment."""

    point: Point
    act: Act
    links: "list[Link]" = field(default_factory=list)
    hit: asyncio.Event = field(default_factory=asyncio.Event)

    async def trigger(self, link: "Link") -> bool:
        """Act, once."""
        self.disarm()
        self.hit.set()
        return await self.act(link)

    def disarm(self) -> None:
        """Wait no longer."""
        for link in self.links:
            if self in link.watches:
                link.watches.remove(self)


class Link:
    """The way of one part to another."""

    def __init__(self, client: str, server: str, port: int) -> None:
        self.client = client
        self.server = server
        self.delay = 0.0
        """Seconds by which everything is late, each way."""
        self.refuses = False
        self.watches: list[Watch] = []
        self.flowing = asyncio.Event()
        """While it is not set, nothing gets through, and nobody is notified."""
        self.flowing.set()
        self._port = port
        self._listener: asyncio.Server | None = None
        self._ends: set[asyncio.StreamWriter] = set()
        self._served: set[asyncio.Task[None]] = set()

    @property
    def name(self) -> str:
        """What it is called."""
        return f"{self.client}>{self.server}"

    @property
    def port(self) -> int:
        """Where the client connects to."""
        assert self._listener is not None
        port: int = self._listener.sockets[0].getsockname()[1]
        return port

    async def open(self) -> None:
        """Begin to listen."""
        self._listener = await asyncio.start_server(self._take, "127.0.0.1", 0)

    async def close(self) -> None:
        """End it and everything on it."""
        assert self._listener is not None
        self._listener.close()
        for serving in self._served:
            serving.cancel()
        await asyncio.gather(*self._served, return_exceptions=True)
        await self._listener.wait_closed()

    def break_off(self) -> None:
        """Break every connection there is."""
        for end in self._ends:
            end.transport.abort()

    def mend(self) -> None:
        """Let everything through again."""
        self.delay = 0.0
        self.refuses = False
        self.flowing.set()

    def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving = asyncio.create_task(self._serve(reader, writer))
        self._served.add(serving)
        serving.add_done_callback(self._served.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._ends.add(writer)
        try:
            if self.refuses:
                return
            with contextlib.suppress(OSError):
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
                self._ends.add(far_writer)
                try:
                    await self._join(reader, writer, far_reader, far_writer)
                finally:
                    await self._end(far_writer)
        finally:
            await self._end(writer)

    async def _end(self, writer: asyncio.StreamWriter) -> None:
        self._ends.discard(writer)
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    async def _join(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        far_reader: asyncio.StreamReader,
        far_writer: asyncio.StreamWriter,
    ) -> None:
        talk: Talk = RedisTalk() if self.server == "redis" else HttpTalk()
        ways = [
            asyncio.create_task(self._carry_there(talk, reader, far_writer)),
            asyncio.create_task(self._carry_back(talk, far_reader, writer)),
        ]
        try:
            # When either side ends, so does the other: nobody here goes on to speak to a half-closed connection.
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _carry_there(self, talk: Talk, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_READ_BYTES):
            await self._hold()
            words = talk.ask(data)
            if not await self._look("before", words):
                return
            writer.write(data)
            await writer.drain()
            if not await self._look("sent", words):
                return

    async def _carry_back(self, talk: Talk, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_READ_BYTES):
            await self._hold()
            if not await self._look("answered", talk.answer(data)):
                return
            writer.write(data)
            await writer.drain()

    async def _hold(self) -> None:
        if self.delay:
            await asyncio.sleep(self.delay)  # the fault: a slow link
        await self.flowing.wait()

    async def _look(self, phase: Phase, words: set[Word]) -> bool:
        """Trigger the watches that wait for this moment; return whether the bytes go on."""
        for watch in list(self.watches):
            if watch.point.phase == phase and watch.point.word in words:
                return await watch.trigger(self)
        return True
