"""What stands between the retriever and a server it asks: it notes how long each question was there."""

import asyncio
import contextlib
import re
from collections import defaultdict
from collections.abc import AsyncIterator

_MARK = re.compile(rb"ask(\d{8})")
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Relay:
    """Passes HTTP on, message by message, unchanged. Questions are told apart by the number in their text."""

    def __init__(self) -> None:
        self.port = 0
        self.target = 0
        """The port of the server that is asked; set before the first question."""
        self.seconds: defaultdict[int, float] = defaultdict(float)
        """By question: from the last byte of a request passed on to the last byte of its answer, all of its requests
        taken together."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Handle a connection."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            there, back = await asyncio.open_connection("127.0.0.1", self.target)
            try:
                while True:
                    asked = await _message(reader)
                    begun = asyncio.get_running_loop().time()
                    back.write(asked)
                    answer = await _message(there)
                    took = asyncio.get_running_loop().time() - begun
                    writer.write(answer)
                    for number in {int(found) for found in _MARK.findall(asked)}:
                        self.seconds[number] += took
            finally:
                back.close()
                writer.close()


async def _message(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = _LENGTH.search(head)
    return head + await reader.readexactly(int(length[1]) if length else 0)


@contextlib.asynccontextmanager
async def relaying() -> AsyncIterator[Relay]:
    """Listen on a free port."""
    relay = Relay()
    server = await asyncio.start_server(relay.serve, "127.0.0.1", 0, limit=2**24)
    relay.port = server.sockets[0].getsockname()[1]
    try:
        yield relay
    finally:
        server.close()
