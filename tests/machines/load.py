"""Messages and searches at a given rate, whatever becomes of them, and what must hold of every answer."""

import asyncio
import contextlib
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from itertools import count
from random import Random
from typing import Any

from machines.tries import BROKEN, Kind, Try
from memstream.runtime.clock import Clock
from memstream.vectors.transport import HttpResponse, HttpTransport

_USERS = 40
_WORDS = ("anchor", "birch", "candle", "dune", "ember", "fjord", "glacier", "harbour", "island", "juniper")
_TIMEOUT = 20.0
_PAUSE = 0.2
"""Seconds before a request is made again that got no answer, or one without Retry-After."""


@dataclass(frozen=True, slots=True)
class Rates:
    """How much is begun each second."""

    messages: float
    searches: float


class Load:
    """Users who post and search at a rate. Each request is made again until it is done, as its answer says."""

    def __init__(self, clock: Clock, chance: Random, urls: Mapping[str, str], key: str, rates: Rates) -> None:
        """Plan it."""
        headers = {"authorization": f"Bearer {key}"}
        self._ingest = HttpTransport(urls["ingest"], port=80, headers=headers, timeout=_TIMEOUT)
        self._retriever = HttpTransport(urls["retriever"], port=80, headers=headers, timeout=_TIMEOUT)
        self._clock = clock
        self._chance = chance
        self._rates = rates
        self._under_way: set[asyncio.Task[None]] = set()
        self.tries: list[Try] = []
        self.accepted: dict[str, str] = {}
        """The text of each accepted message, by its id."""
        self._by_user: defaultdict[str, list[str]] = defaultdict(list)
        self.strangers: list[str] = []
        """Hits of another user's message, or with a text that is not the message's."""

    def answered(self, kind: Kind) -> int:
        """Return how many requests are done."""
        return sum(one.is_answered for one in self.tries if one.kind == kind)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Send while the block runs; what was begun is done in the end."""
        numbers = count()
        sources = [
            asyncio.create_task(self._begin(self._rates.messages, lambda: self._send(next(numbers)))),
            asyncio.create_task(self._begin(self._rates.searches, self._search)),
        ]
        try:
            yield
            for source in sources:
                source.cancel()
            await asyncio.gather(*self._under_way)
        finally:
            for task in (*sources, *self._under_way):
                task.cancel()
            await asyncio.gather(*sources, *self._under_way, return_exceptions=True)
            self._ingest.close()
            self._retriever.close()

    async def _begin(self, rate: float, begin: Callable[[], Coroutine[None, None, None]]) -> None:
        """Begin so many each second, however many are under way."""
        due = self._clock.monotonic()
        while True:
            due += 1 / rate
            await self._clock.sleep(max(0.0, due - self._clock.monotonic()))
            task = asyncio.create_task(begin())
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _send(self, number: int) -> None:
        user = f"user-{self._chance.randrange(_USERS)}"
        words = " ".join(self._chance.sample(_WORDS, 3))
        message_id, text = f"{user}:{number}", f"Note {number} of {user}: {words}."
        body = {"user_id": user, "message_id": message_id, "text": text}
        await self._insist("message", self._ingest, "/v1/messages", body)
        self.accepted[message_id] = text
        self._by_user[user].append(message_id)

    async def _search(self) -> None:
        user = f"user-{self._chance.randrange(_USERS)}"
        body = {"user_id": user, "query": self._chance.choice(_WORDS), "limit": 10}
        answer = await self._insist("search", self._retriever, "/v1/search", body)
        for hit in json.loads(answer.content)["hits"]:
            own = hit["message_id"].startswith(f"{user}:") and f" of {user}: " in hit["text"]
            if not own or self.accepted.get(hit["message_id"], hit["text"]) != hit["text"]:
                self.strangers.append(f"{user} was shown {hit['message_id']}: {hit['text']}")

    async def _insist(self, kind: Kind, server: HttpTransport, path: str, body: dict[str, Any]) -> HttpResponse:
        first = self._clock.monotonic()
        content = json.dumps(body).encode()
        while True:
            begun = self._clock.monotonic()
            pause = _PAUSE
            try:
                answer = await server.post(path, content)
            except OSError as error:
                reason = type(error).__name__
                self.tries.append(Try(kind, begun, self._clock.monotonic(), BROKEN, first=first, reason=reason))
            else:
                wait = answer.headers.get("retry-after")
                detail = "" if answer.status < HTTPStatus.BAD_REQUEST else _detail(answer)
                one = Try(kind, begun, self._clock.monotonic(), answer.status, wait is not None, first, detail)
                self.tries.append(one)
                if one.is_answered:
                    return answer
                pause = float(wait) if wait is not None else _PAUSE
            await self._clock.sleep(pause)


def _detail(answer: HttpResponse) -> str:
    """Return why a request was refused."""
    try:
        return str(json.loads(answer.content)["detail"])
    except (ValueError, KeyError, TypeError):
        return answer.content[:100].decode(errors="replace")
