"""What a hostile tenant does, with one ordinary key and at full speed: `python -m benchmarks.hostile.attacks --help`.

Runs in a process of its own, at a low priority: it stands for other machines. Prints how each attack was answered.
"""

import argparse
import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from urllib.parse import urlsplit

from benchmarks.http_client import HttpClient

POISON = "the provider refuses this"
"""A text with these words is refused by the provider."""

_NICENESS = 10
_REFUSED_PAUSE = 0.01
_LONG = "2020 " * 13_000
_LINES = "application/x-ndjson"


@dataclass(slots=True)
class Attacker:
    """A hostile tenant's connections."""

    ingest: HttpClient
    retriever: HttpClient
    ingest_url: str
    key: str
    answers: dict[str, Counter[str]] = field(default_factory=dict)
    numbers: "count[int]" = field(default_factory=count)

    async def flood(self) -> None:
        """Post messages one by one."""
        await self._post("/v1/messages", {"user_id": "h", "text": f"noise {next(self.numbers)}"})

    async def batches(self) -> None:
        """Post full batches in the live lane."""
        await self._batch("live")

    async def imports(self) -> None:
        """Post full batches in the bulk lane."""
        await self._batch("bulk")

    async def poison(self) -> None:
        """Post texts that the provider refuses."""
        await self._post("/v1/messages", {"user_id": "h", "text": f"{POISON} {next(self.numbers)}"})

    async def deletions(self) -> None:
        """Delete messages that never were."""
        await self._ask(
            self.ingest, f"/v1/messages?user_id=h&message_id=none{next(self.numbers)}", b"", method="DELETE"
        )

    async def long_questions(self) -> None:
        """Ask a batch of questions of 64 KiB."""
        searches = [{"user_id": "h", "query": _LONG}] * 15
        await self._search("/v1/search/batch", {"searches": searches})

    async def diverse_batches(self) -> None:
        """Ask a batch of searches that need as much as they may."""
        searches = [{"user_id": "h", "query": f"noise {n}", "limit": 50, "diversity": 1} for n in range(20)]
        await self._search("/v1/search/batch", {"searches": searches})

    async def contexts(self) -> None:
        """Ask for the largest context."""
        body = {"user_id": "h", "query": "noise", "limit": 100, "neighbours": 10, "token_budget": 1_000_000}
        await self._search("/v1/context", body)

    async def searches(self) -> None:
        """Ask as fast as answers come."""
        await self._search("/v1/search", {"user_id": "h", "query": f"noise {next(self.numbers)}"})

    async def waits(self) -> None:
        """Wait for a position that nobody gave out."""
        position = f"0.live.99999999{next(self.numbers):05}-0"
        body = {"user_id": "h", "query": "noise", "wait_for": [position], "wait_timeout": 10}
        await self._search("/v1/search", body)

    async def endless_lines(self) -> None:
        """Post lines without an end, in small pieces."""
        await self._upload(8 * 2**20, piece=16 * 1024)

    async def stalled_uploads(self) -> None:
        """Begin an upload and leave it."""
        await self._upload(8 * 2**20, piece=2**20, stall_after=4)

    async def _post(self, path: str, body: Mapping[str, object]) -> None:
        await self._ask(self.ingest, path, json.dumps(body).encode())

    async def _batch(self, lane: str) -> None:
        lines = (json.dumps({"user_id": "h", "text": f"noise {next(self.numbers)}"}) for _ in range(1000))
        await self._ask(self.ingest, f"/v1/messages/batch?lane={lane}", "\n".join(lines).encode(), media=_LINES)

    async def _search(self, path: str, body: Mapping[str, object]) -> None:
        await self._ask(self.retriever, path, json.dumps(body).encode())

    async def _ask(
        self, client: HttpClient, path: str, body: bytes, *, media: str = "application/json", method: str = "POST"
    ) -> None:
        status, _ = await client.send(method, path, body, media)
        self._note(str(status))
        if status in {429, 503}:
            # Not for as long as it is told; but whoever is refused at once needs a moment to ask again.
            await asyncio.sleep(_REFUSED_PAUSE)

    async def _upload(self, size: int, *, piece: int, stall_after: int | None = None) -> None:
        place = urlsplit(self.ingest_url)
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        try:
            head = f"POST /v1/messages/batch HTTP/1.1\r\nhost: {place.netloc}\r\nauthorization: Bearer {self.key}\r\n"
            writer.write(f"{head}content-type: {_LINES}\r\ncontent-length: {size}\r\n\r\n".encode())
            for number in range(size // piece):
                if number == stall_after:
                    break
                writer.write(b"x" * piece)
                await writer.drain()
            answer = await reader.read(12)
            self._note(answer[9:12].decode() or "closed")
        finally:
            writer.close()

    def _note(self, status: str) -> None:
        task = asyncio.current_task()
        name = task.get_name() if task else ""
        self.answers.setdefault(name, Counter())[status] += 1


ATTACKS: Mapping[str, tuple[Callable[[Attacker], Awaitable[None]], int]] = {
    "flood": (Attacker.flood, 8),
    "batches": (Attacker.batches, 2),
    "imports": (Attacker.imports, 2),
    "poison": (Attacker.poison, 2),
    "deletions": (Attacker.deletions, 8),
    "long-questions": (Attacker.long_questions, 2),
    "diverse-batches": (Attacker.diverse_batches, 2),
    "contexts": (Attacker.contexts, 2),
    "searches": (Attacker.searches, 8),
    "waits": (Attacker.waits, 8),
    "endless-lines": (Attacker.endless_lines, 2),
    "stalled-uploads": (Attacker.stalled_uploads, 100),
}
"""Each attack, and how many connections do it at once."""


async def _attack(options: argparse.Namespace) -> None:
    key = sys.stdin.readline().strip()
    attacker = Attacker(HttpClient(options.ingest, key), HttpClient(options.retriever, key), options.ingest, key)
    end = asyncio.get_running_loop().time() + options.seconds

    async def repeat(act: Callable[[Attacker], Awaitable[None]]) -> None:
        while asyncio.get_running_loop().time() < end:
            try:
                await act(attacker)
            except (OSError, TimeoutError, asyncio.IncompleteReadError):
                attacker._note("broken")  # noqa: SLF001 - of this module
                await asyncio.sleep(_REFUSED_PAUSE)

    tasks = [
        asyncio.create_task(repeat(act), name=name)
        for name in options.attacks
        for act, at_once in [ATTACKS[name]]
        for _ in range(at_once)
    ]
    await asyncio.wait(tasks, timeout=options.seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    print(json.dumps(attacker.answers))


def main() -> None:
    """Attack for some seconds. The key comes by standard input."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ingest", required=True)
    parser.add_argument("--retriever", required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("attacks", nargs="+", choices=list(ATTACKS))
    os.nice(_NICENESS)
    asyncio.run(_attack(parser.parse_args()))


if __name__ == "__main__":
    main()
