"""Messages and searches while containers come and go, and what must hold of them afterwards."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from random import Random
from typing import TypeVar

from containers.composition import Composition
from waiting import PATIENCE, until

from memstream.client import ConnectionFailed, Memstream, Overloaded, Retries, Unavailable
from memstream.contracts.messages import Accepted
from memstream.contracts.searches import SearchOut

Answer = TypeVar("Answer")

_SENDERS = 2
_PAUSE = 0.05
"""Seconds between two requests of one sender: so many that a fault meets some, so few that any machine keeps up."""
_WORDS = ("anchor", "birch", "candle", "dune", "ember", "fjord", "glacier", "harbour", "island", "juniper")
_TEMPORARY = (ConnectionFailed, Overloaded, Unavailable)


class Load:
    """Users who post and search, each through whichever replica answers. A request is repeated until it succeeds."""

    def __init__(self, composition: Composition, name: str) -> None:
        """Plan it; `name` is the beginning of its users' names, which nobody else has."""
        self._composition = composition
        self._users = [f"{name}-{number}" for number in range(_SENDERS)]
        self._rng = Random(name)  # noqa: S311 - a draw that can be repeated, nothing secret
        self._clients: list[Memstream] = []
        self._opened = AsyncExitStack()
        self._lock = asyncio.Lock()
        self._ends = False
        self.accepted: defaultdict[str, list[str]] = defaultdict(list)
        """The ids of each user's messages that were answered with a 2xx."""
        self.searches = 0

    async def send(self, user: str, number: int) -> Accepted:
        """Post one message, until it is accepted."""
        message_id = f"{user}:{number}"
        words = " ".join(self._rng.sample(_WORDS, 3))
        message = {"user_id": user, "message_id": message_id, "text": f"Note {number} of {user}: {words}."}
        answer = await self._ask(lambda memory: memory.send(message))
        self.accepted[user].append(message_id)
        return answer

    async def search(self, user: str, question: str) -> SearchOut:
        """Search one user's messages, until there is an answer. It holds messages of this user only."""
        answer = await self._ask(lambda memory: memory.search(user, question, limit=5))
        strangers = [hit.message_id for hit in answer.hits if not hit.message_id.startswith(f"{user}:")]
        assert strangers == []
        self.searches += 1
        return answer

    async def goes_on(self) -> None:
        """Wait until a dozen further messages were accepted and a few further searches answered, by all users."""
        before, searches = {user: len(self.accepted[user]) for user in self._users}, self.searches

        def grown() -> bool:
            more = all(len(self.accepted[user]) >= before[user] + 12 for user in self._users)
            return more and self.searches >= searches + 4

        await until(grown, "messages are accepted and searches answered")

    async def look_around(self) -> None:
        """Find out which replicas there are."""
        ingests = await self._composition.urls("ingest")
        retrievers = await self._composition.urls("retriever")
        number = max(len(ingests), len(retrievers)) if ingests and retrievers else 0
        # Former ones stay open until the end: others may be waiting for their answers.
        self._clients = [
            await self._opened.enter_async_context(
                Memstream(
                    ingest_url=ingests[index % len(ingests)],
                    retriever_url=retrievers[index % len(retrievers)],
                    api_key=self._composition.key,
                    retries=Retries(deadline=PATIENCE, unreachable=0.0),
                )
            )
            for index in range(number)
        ]

    async def _ask(self, call: Callable[[Memstream], Awaitable[Answer]]) -> Answer:
        answers: list[Answer] = []

        async def answered() -> bool:
            async with self._lock:
                if not self._clients:
                    await self.look_around()
            if not self._clients:
                return False
            client = self._rng.choice(self._clients)
            try:
                answers.append(await call(client))
            except _TEMPORARY:
                await self._forget(client)
            return bool(answers)

        await until(answered, "a replica answers")
        return answers[0]

    async def _forget(self, client: Memstream) -> None:
        """Look for replicas anew: one that was there a moment ago does not answer."""
        async with self._lock:
            if client in self._clients:
                await self.look_around()

    async def _use(self, user: str) -> None:
        for number in count():
            if self._ends:
                return
            await self.send(user, number)
            if number % 3 == 0:
                await self.search(user, self._rng.choice(_WORDS))
            await asyncio.sleep(_PAUSE)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Load"]:
        """Send and search all the while; at the end, every accepted message must be there once, and nothing else."""
        async with asyncio.TaskGroup() as users:
            for user in self._users:
                users.create_task(self._use(user))
            try:
                await self.goes_on()
                yield self
                await self.goes_on()
            finally:
                self._ends = True
        await self.is_complete()
        await self.close()

    async def is_complete(self) -> None:
        """Wait until all accepted messages are searchable, and check that each is stored once."""
        for user, accepted in self.accepted.items():
            stored: list[str] = []

            async def all_there(user: str = user, accepted: list[str] = accepted, stored: list[str] = stored) -> bool:
                stored[:] = await self._ask(lambda memory: _stored(memory, user))
                return set(accepted) <= set(stored)

            await until(all_there, f"all {len(accepted)} messages of {user} are stored")
            assert sorted(stored) == sorted(accepted)

    async def close(self) -> None:
        """Close the connections."""
        self._clients = []
        await self._opened.aclose()


async def _stored(memory: Memstream, user: str) -> list[str]:
    return [message.message_id async for message in memory.messages(user)]
