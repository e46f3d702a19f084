"""Questions, and ways to send them: at a rate, so many at a time, or all at once."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from benchmarks.arrivals import Arrivals
from benchmarks.http_client import HttpClient
from memstream.local.stack.plan import MODELS
from memstream.retriever.settings import RetrieverSettings
from memstream.vectors.space import EmbeddingSpace

_OK = 200
_WORDS = (
    *("where", "did", "the", "caretaker", "put", "bicycle", "pump", "parcel", "neighbours", "meeting", "garden"),
    *("after", "work", "morning", "rain", "town", "floor", "second", "who", "said", "planned", "longer"),
)

TENANT = "local"
CANDIDATES: int = RetrieverSettings.model_fields["candidates"].default
"""Candidates of each score, as the retriever requests them."""

Post = Callable[[bytes], Awaitable[tuple[int, bytes]]]
"""Sends a body, and returns status and body of the answer."""


@dataclass(frozen=True, slots=True)
class Questions:
    """Generated questions by number: all different, each contains its number."""

    seed: int
    users: int

    def text(self, number: int) -> str:
        """Return a question's text."""
        chance = Random(self.seed << 32 | number)  # noqa: S311 - nothing secret is made from it
        return f"ask{number:08d} " + " ".join(chance.choices(_WORDS, k=8))

    def user(self, number: int) -> str:
        """Return the id of its user."""
        return f"user-{number % self.users}"

    def body(self, number: int) -> bytes:
        """Return the request."""
        return json.dumps({"user_id": self.user(number), "query": self.text(number)}).encode()


@dataclass(slots=True)
class Outcome:
    """The outcome of questions: seconds of each answered one, by its number, and the others by their status."""

    took: dict[int, float] = field(default_factory=dict)
    failed: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Answers per second."""
        return len(self.took) / self.seconds if self.seconds else 0.0

    def note(self, number: int, status: int | str, seconds: float) -> None:
        """Record one."""
        if status == _OK:
            self.took[number] = seconds
        else:
            self.failed[str(status)] += 1


def space_of(model: str) -> EmbeddingSpace:
    """Return the embedding space of one of the local stack's models."""
    chosen = MODELS[model]
    return EmbeddingSpace(chosen.id, chosen.dimensions)


async def at_rate(client: HttpClient, body: Callable[[int], bytes], rate: float, seconds: float, first: int) -> Outcome:
    """Send questions in open loop at a rate per second; seconds count from when a question was sent."""
    outcome = Outcome(seconds=seconds)
    end = time.perf_counter() + seconds

    async def ask(number: int, due: float) -> None:
        del due
        begun = time.perf_counter()
        status = await _status(client, body(first + number))
        outcome.note(first + number, status, time.perf_counter() - begun)

    await Arrivals(rate, first).run(ask, until=lambda: time.perf_counter() > end)
    return outcome


async def in_turn(
    client: HttpClient, body: Callable[[int], bytes], at_once: int, seconds: float, first: int
) -> Outcome:
    """Send questions with a fixed concurrency, each as soon as an earlier one is answered."""
    outcome = Outcome()
    begun = time.perf_counter()
    numbers = iter(range(first, first + 10_000_000))

    async def go() -> None:
        while time.perf_counter() < begun + seconds:
            number, at = next(numbers), time.perf_counter()
            outcome.note(number, await _status(client, body(number)), time.perf_counter() - at)

    await asyncio.gather(*(go() for _ in range(at_once)))
    outcome.seconds = time.perf_counter() - begun
    return outcome


async def all_at_once(client: HttpClient, bodies: Sequence[bytes]) -> Outcome:
    """Send all questions at the same time."""
    outcome = Outcome()
    begun = time.perf_counter()

    async def ask(number: int, body: bytes) -> None:
        at = time.perf_counter()
        outcome.note(number, await _status(client, body), time.perf_counter() - at)

    await asyncio.gather(*(ask(number, body) for number, body in enumerate(bodies)))
    outcome.seconds = time.perf_counter() - begun
    return outcome


async def _status(client: HttpClient, body: bytes) -> int | str:
    try:
        status, head, _ = await client.ask("/v1/search", body)
    except OSError as error:
        return type(error).__name__
    return "503 without Retry-After" if status == 503 and b"retry-after" not in head else status  # noqa: PLR2004
