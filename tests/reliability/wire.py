"""What passes on a connection: enough of Redis' protocol and of HTTP to recognize the moments for faults.

A talk is given the bytes of one connection in both directions, in order, and returns words for what they mean.
"""

from typing import Literal, Protocol

from memstream.contracts import keys
from memstream.streams.appending import LANE_KEYS

Word = Literal[
    "append", "read", "embed", "reserve", "upsert", "acknowledge", "dead_letter", "trim", "request_deletion", "remove"
]

_STREAMS = frozenset(keys.stream(0, lane).encode() for lane in keys.LANES)
_DEAD = keys.dead_letters(0).encode()
_RECEIPT = keys.erasure(0, "").encode()
_PLAIN: dict[bytes, Word] = {b"XREADGROUP": "read", b"XACK": "acknowledge", b"XTRIM": "trim"}
_NEED_ENTRIES = b"\r\ndata\r\n"
_WARMING_UP = b'["ready"]'
_SHORT = 1000
"""Bytes; a call that only tries the provider out is shorter."""

_HTTP: tuple[tuple[bytes, bytes, Word], ...] = (
    (b"PUT ", b"/points?", "upsert"),
    (b"PUT ", b"/points ", "upsert"),
    (b"POST ", b"/points/delete", "remove"),
    (b"POST ", b"/embeddings", "embed"),
)
_BATCHES: tuple[tuple[bytes, Word], ...] = (
    (b'{"operations":[{"set_payload":', "reserve"),
    (b'{"operations":[{"upsert":', "upsert"),
    (b'{"operations":[{"delete":{"filter":{"must":[{"key":"owner"', "remove"),
)
"""How the bodies of batches of writes begin."""


class Talk(Protocol):
    """One connection."""

    def ask(self, data: bytes) -> set[Word]:
        """Name what the client asks for with these bytes."""

    def answer(self, data: bytes) -> set[Word]:
        """Name what the server's answer, which begins with these bytes, says is done."""


class RedisTalk:
    """A connection to Redis. Clients here say several things at once, and then wait for all answers."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._asked: set[Word] = set()

    def ask(self, data: bytes) -> set[Word]:
        """Name what the client asks for with these bytes."""
        self._rest += data
        words = {word for command in commands(self._rest) for word in _words(command)}
        self._asked |= words
        return words

    def answer(self, data: bytes) -> set[Word]:
        """Name what was done; an answer that is an error has done nothing, and one without entries has read none."""
        asked, self._asked = self._asked, set()
        if data.startswith(b"-"):
            return set()
        return asked if _NEED_ENTRIES in data else asked - {"read"}


class HttpTalk:
    """A connection to Qdrant or to the provider: one request, one answer."""

    def __init__(self) -> None:
        self._request = bytearray()

    def ask(self, data: bytes) -> set[Word]:
        """Name what the client asks for, with the bytes of the request so far."""
        self._request += data
        head = bytes(self._request.partition(b"\r\n")[0])
        words = {word for method, path, word in _HTTP if head.startswith(method) and path in head}
        if head.startswith(b"POST ") and b"/points/batch" in head:
            body = self._request.partition(b"\r\n\r\n")[2]
            words |= {word for beginning, word in _BATCHES if body.startswith(beginning)}
        tries_out = len(self._request) < _SHORT and _WARMING_UP in self._request
        return words - {"embed"} if tries_out else words

    def answer(self, data: bytes) -> set[Word]:
        """Name what was done, if the answer is a success."""
        done = self.ask(b"") if data.startswith(b"HTTP/1.1 200") else set()
        self._request.clear()
        return done


def commands(buffer: bytearray) -> list[list[bytes]]:
    """Take the complete commands out of a buffer: arrays of strings, as clients send them."""
    found: list[list[bytes]] = []
    while (end := _read(buffer)) is not None:
        words, size = end
        del buffer[:size]
        found.append(words)
    return found


def _read(buffer: bytearray) -> tuple[list[bytes], int] | None:
    line = buffer.find(b"\r\n")
    if line < 0:
        return None
    count, place = int(buffer[1:line]), line + 2
    words: list[bytes] = []
    for _ in range(count):
        line = buffer.find(b"\r\n", place)
        if line < 0:
            return None
        size = int(buffer[place + 1 : line])
        place = line + 2 + size + 2
        if place > len(buffer):
            return None
        words.append(bytes(buffer[line + 2 : line + 2 + size]))
    return words, place


def _words(command: list[bytes]) -> set[Word]:
    name = command[0].upper()
    if name in _PLAIN:
        return {_PLAIN[name]}
    if name not in {b"EVALSHA", b"EVAL"}:
        return set()
    names = command[3 : 3 + int(command[2])]
    if len(names) > 1 and names[1] == _DEAD:
        return {"dead_letter"}
    if not names or names[0] not in _STREAMS:
        return set()
    # Behind the lane, a deletion comes with its receipt, a replay with the dead letters, and an append with neither.
    behind = names[LANE_KEYS] if len(names) > LANE_KEYS else b""
    if behind == _DEAD:
        return set()
    return {"request_deletion"} if behind.startswith(_RECEIPT) else {"append"}
