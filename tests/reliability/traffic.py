"""Seeded traffic: what is sent is drawn beforehand; what comes back is recorded."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from random import Random
from typing import Any, Literal

import httpx
from reliability.history import Answered, History, Searched, Sent

from memstream.runtime.backoff import Backoff
from memstream.runtime.clock import Clock

_WORDS = (
    "keys",
    "gym",
    "flower pot",
    "dentist",
    "Tuesday",
    "coffee",
    "Lisbon",
    "train",
    "jacket",
    "Zoë",
    "piano",
    "rain",
)
_USERS = 20
_BATCH = 40
_SENDERS = 6
_LONG = 400
_PAUSE = 0.01


@dataclass(frozen=True, slots=True)
class Message:
    """A message to be sent."""

    user: str
    message_id: str
    text: str

    def body(self) -> dict[str, str]:
        """Give its JSON."""
        return {"user_id": self.user, "message_id": self.message_id, "text": self.text}


@dataclass(frozen=True, slots=True)
class Order:
    """One thing that a sender does."""

    kind: Literal["single", "batch", "search"]
    messages: Sequence[Message]
    gives_up: bool = False
    """After an unknown outcome it is left at that; else it is sent again until it is accepted."""


def draw_orders(seed: int, messages: int) -> list[Order]:
    """Draw what is sent: so many different messages, singly and in batches, some of them twice; and questions."""
    chance = Random(seed)  # noqa: S311 - nothing secret is made from it
    drawn: list[Message] = []
    orders: list[Order] = []
    while len(drawn) < messages:
        kind = chance.choices(("single", "batch", "repeat", "search"), (60, 20, 10, 10))[0]
        gives_up = chance.random() < 0.1
        if kind == "search" or (kind == "repeat" and not drawn):
            orders.append(Order("search", [_draw(chance, len(drawn))]))
        elif kind == "repeat":
            orders.append(Order("single", [chance.choice(drawn)], gives_up))
        else:
            count = 1 if kind == "single" else min(messages - len(drawn), chance.randint(2, _BATCH))
            fresh = [_draw(chance, len(drawn) + index) for index in range(count)]
            drawn += fresh
            orders.append(Order("single" if count == 1 else "batch", fresh, gives_up))
    return orders


def _draw(chance: Random, number: int) -> Message:
    words = chance.choices(_WORDS, k=_LONG if chance.random() < 0.01 else chance.randint(3, 20))
    return Message(f"user-{chance.randrange(_USERS)}", f"m-{number}", f"{' '.join(words)} ({number}).")


class Traffic:
    """Sends orders, several at once, and records what is sent and answered."""

    def __init__(
        self, ingest: httpx.AsyncClient, retriever: httpx.AsyncClient, history: History, clock: Clock, chance: Random
    ) -> None:
        self.allowed = 0
        """Orders that may be begun by now."""
        self.settled = 0
        """Orders that are done."""
        self._begun = 0
        self._ingest = ingest
        self._retriever = retriever
        self._history = history
        self._clock = clock
        self._chance = chance
        self._backoff = Backoff(initial=0.05, maximum=1.0)

    async def run(self, orders: Sequence[Order]) -> None:
        """Carry out all orders, as far as they are allowed."""
        waiting = iter(orders)
        async with asyncio.TaskGroup() as senders:
            for _ in range(_SENDERS):
                senders.create_task(self._carry_out(waiting))

    async def _carry_out(self, orders: Iterator[Order]) -> None:
        for order in orders:
            self._begun += 1
            while self._begun > self.allowed:
                await self._clock.sleep(_PAUSE)
            if order.kind == "search":
                await self._ask(order.messages[0])
            else:
                await self._send(order)
            self.settled += 1

    async def _ask(self, message: Message) -> None:
        body = {"user_id": message.user, "query": message.text[:200], "limit": 20}
        try:
            answer = await self._retriever.post("/v1/search", json=body)
        except httpx.TransportError:
            return
        if answer.is_success:
            self._history.add(Searched(message.user, [hit["message_id"] for hit in answer.json()["hits"]]))

    async def _send(self, order: Order) -> None:
        failures = 0
        while not await self._post(order) and not order.gives_up:
            failures += 1
            await self._clock.sleep(self._backoff.delay(failures, self._chance))

    async def _post(self, order: Order) -> bool:
        """Send the messages once, and say whether each has its outcome."""
        for message in order.messages:
            self._history.add(Sent(message.user, message.message_id, message.text))
        bodies = [message.body() for message in order.messages]
        try:
            if order.kind == "single":
                answer = await self._ingest.post("/v1/messages", json=bodies[0])
            else:
                answer = await self._ingest.post("/v1/messages/batch", json={"messages": bodies})
        except httpx.TransportError as error:
            return self._unknown(order, type(error).__name__)
        if answer.status_code == HTTPStatus.TOO_MANY_REQUESTS or answer.is_server_error:
            return self._unknown(order, f"HTTP {answer.status_code}")
        results: list[dict[str, Any]] = [{}] * len(bodies)
        if answer.is_success:
            results = [answer.json()] if order.kind == "single" else answer.json()["results"]
        for message, result in zip(order.messages, results, strict=True):
            self._history.add(_answered(message, result, answer))
        return True

    def _unknown(self, order: Order, reason: str) -> bool:
        for message in order.messages:
            self._history.add(Answered(message.user, message.message_id, "unknown", reason=reason))
        return False


def _answered(message: Message, result: dict[str, Any], answer: httpx.Response) -> Answered:
    if "position" not in result:
        reason = str(result.get("error") or answer.text[:200])
        return Answered(message.user, message.message_id, "refused", reason=reason)
    return Answered(
        message.user, message.message_id, "accepted", position=result["position"], duplicate=result["duplicate"]
    )
