"""A cheap HTTP client, so that the client's own cost doesn't distort the measurement."""

import asyncio
from urllib.parse import urlsplit

_SECONDS = 60.0
_JSON = "application/json"


class HttpClient:
    """Connections to one server, one per concurrent request. A connection that was closed is replaced."""

    def __init__(self, url: str, key: str) -> None:
        place = urlsplit(url)
        self._host, self._port = place.hostname or "127.0.0.1", place.port or 80
        self._head = f"host: {place.netloc}\r\nauthorization: Bearer {key}\r\n"
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def post(self, path: str, body: bytes, media: str = _JSON) -> tuple[int, bytes]:
        """Send an idempotent request, and return status and body of the answer.

        Raises:
            OSError: there was no answer within a minute, or none at all.

        """
        return await self.send("POST", path, body, media)

    async def send(self, method: str, path: str, body: bytes, media: str = _JSON) -> tuple[int, bytes]:
        """Send an idempotent request of any method, and return status and body of the answer.

        Raises:
            OSError: there was no answer within a minute, or none at all.

        """
        status, _, answer = await self.ask(path, body, media, method)
        return status, answer

    async def ask(self, path: str, body: bytes, media: str = _JSON, method: str = "POST") -> tuple[int, bytes, bytes]:
        """Send an idempotent request, and return status, head (in lower case) and body of the answer.

        Raises:
            OSError: there was no answer within a minute, or none at all.

        """
        head = f"{method} {path} HTTP/1.1\r\n{self._head}content-type: {media}\r\ncontent-length: {len(body)}\r\n\r\n"
        request = head.encode() + body
        async with asyncio.timeout(_SECONDS):
            while self._idle:
                connection = self._idle.pop()
                try:
                    return await self._exchange(connection, request)
                except (OSError, asyncio.IncompleteReadError):
                    connection[1].close()
            connection = await asyncio.open_connection(self._host, self._port)
            try:
                return await self._exchange(connection, request)
            except asyncio.IncompleteReadError as error:
                raise ConnectionResetError("the answer broke off") from error

    async def _exchange(
        self, connection: tuple[asyncio.StreamReader, asyncio.StreamWriter], request: bytes
    ) -> tuple[int, bytes, bytes]:
        reader, writer = connection
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = next(int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
        body = await reader.readexactly(length)
        self._idle.append(connection)
        return int(head[9:12]), head, body

    def close(self) -> None:
        """Close the connections that are not in use."""
        for _, writer in self._idle:
            writer.close()
