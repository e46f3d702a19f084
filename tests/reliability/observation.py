"""What is there once the backlog is processed: in Qdrant, dead letters, streams, states, receipts and answers."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from random import Random
from typing import Any, TypeVar

from reliability.history import DeadLettered, Deleted, Deleting, Drained, History, Length, Receipt, Sent, StateRead
from reliability.operations import Message
from reliability.reads import Reader, search
from reliability.validators import MOST_ENTRIES
from waiting import until

from memstream.contracts import keys
from memstream.streams.connections import Redis

AnswerT = TypeVar("AnswerT")

_ASKERS = 6
_QUESTIONS = 20


async def observe(history: History, reader: Reader, redis: Redis, prefix: str, chance: Random) -> None:
    """Record the end of a run, whose users' names begin with `prefix`."""
    history.add(Drained())
    sent = {(one.user, one.message_id) for one in history.of(Sent) if one.valid}
    asked = {(one.user, one.message_id) for one in history.of(Deleting) if one.message_id is not None}
    names = sorted({*sent, *asked})
    for point in await answered(partial(reader.points, sorted({user for user, _ in names}))):
        history.add(point)
    await asyncio.gather(*(_states(history, reader, names[start::_ASKERS]) for start in range(_ASKERS)))
    await _receipts(history, reader)
    await _letters(history, redis, prefix)
    for user, message_id in chance.sample(sorted(sent), min(_QUESTIONS, len(sent))):
        message = Message(user, message_id, "")
        await until(partial(search, reader.retriever, history, message, wanted=True), "a search is answered")
    await _lengths(history, redis)


async def _states(history: History, reader: Reader, names: Sequence[tuple[str, str | None]]) -> None:
    for user, message_id in names:
        assert message_id is not None
        state, reason = await answered(partial(reader.state, user, message_id))
        history.add(StateRead(0, user, message_id, state, reason=reason))


async def _receipts(history: History, reader: Reader) -> None:
    for erasure_id in sorted({one.erasure_id for one in history.of(Deleted) if one.erasure_id is not None}):
        history.add(Receipt(erasure_id, *await answered(partial(reader.receipt, erasure_id))))


async def answered(ask: Callable[[], Awaitable[AnswerT | None]]) -> AnswerT:
    """Ask until there is an answer: a connection that was kept may just have been closed by the other side."""
    answers: list[AnswerT] = []

    async def is_answered() -> bool:
        answer = await ask()
        answers.extend([] if answer is None else [answer])
        return answer is not None

    await until(is_answered, "a question at the end is answered")
    return answers[0]


async def _letters(history: History, redis: Redis, prefix: str) -> None:
    letters: Any = await redis.xrange(keys.dead_letters(0))
    for _, fields in letters:
        try:
            event = json.loads(fields.get(b"original:data", b""))
        except ValueError:
            event = {}
        user = event.get("user_id", "")
        if not user or user.startswith(f"{prefix}-"):
            reason = fields[b"reason"].decode()
            history.add(DeadLettered(user, event.get("message_id", ""), fields[b"class"].decode(), reason))


async def _lengths(history: History, redis: Redis) -> None:
    """Wait until the streams are as short as they become, and record how long they are then."""
    for lane in keys.LANES:
        stream = keys.stream(0, lane)
        entries = 0

        async def is_short(stream: str = stream) -> bool:
            nonlocal entries
            entries = await redis.xlen(stream)
            return entries <= MOST_ENTRIES

        # The validator says when it is too long, with the figure.
        with contextlib.suppress(AssertionError):
            await until(is_short, f"{stream} is trimmed")
        history.add(Length(stream, entries))
