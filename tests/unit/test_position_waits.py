"""Requests that wait for positions together: what fails for one does not fail for those that came since."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, Self

import pytest
from waiting import PATIENCE, until

from memstream.contracts import keys
from memstream.retriever.positions import PositionWaiter
from memstream.runtime.clock import SystemClock
from memstream.runtime.errors import Unavailable

POSITION = "0.live.5-0"
EVENT = {"type": "message.recorded.v1", "tenant": "acme", "user_id": "ana", "message_id": "m"}


class _Pipeline:
    """Answers to each command as if there were one message, and nothing became of it."""

    def __init__(self) -> None:
        self._answers: list[Any] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    def xrange(self, _stream: str, **_range: object) -> None:
        self._answers.append([(b"5-0", {b"data": json.dumps(EVENT).encode()})])

    def get(self, _key: str) -> None:
        self._answers.append(None)

    async def execute(self) -> list[Any]:
        return self._answers


class _Stream:
    """A stream in Redis whose group is not done with its message until it is told."""

    def __init__(self) -> None:
        self.delivered = b"0-0"
        self.calls = 0
        self.fails: asyncio.Event | None = None
        """The next call lasts until this is set, and fails."""

    def pipeline(self, **_options: object) -> _Pipeline:
        return _Pipeline()

    async def xinfo_groups(self, _stream: str) -> list[dict[str, bytes]]:
        self.calls += 1
        if self.fails is not None:
            fails, self.fails = self.fails, None
            await fails.wait()
            raise Unavailable("Redis", "it is away")
        return [{"name": keys.GROUP.encode(), "last-delivered-id": self.delivered}]

    async def xpending_range(self, _stream: str, _group: str, **_range: object) -> list[Any]:
        return []


def more_calls_of(stream: _Stream) -> Callable[[], bool]:
    """Return what tells whether Redis has been asked again."""
    before = stream.calls
    return lambda: stream.calls > before


async def test_who_begins_to_wait_while_a_look_up_fails_is_told_as_soon_as_its_position_is_done() -> None:
    stream: Any = _Stream()
    waiter = PositionWaiter(stream, SystemClock(), partitions=1, held=10, held_each=10)
    asked_again = more_calls_of(stream)
    early = asyncio.create_task(waiter.wait({POSITION: 600.0}, "acme"))
    await until(asked_again, "the first one waits")
    stream.fails = fails = asyncio.Event()
    await until(lambda: stream.fails is None, "a look-up is under way")

    asked_again = more_calls_of(stream)
    late = asyncio.create_task(waiter.wait({POSITION: 600.0}, "acme"))
    await until(asked_again, "the second one waits")
    fails.set()
    with pytest.raises(Unavailable):
        await early
    stream.delivered = b"5-0"

    async with asyncio.timeout(PATIENCE):
        assert not (await late).pending
    await waiter.aclose()
