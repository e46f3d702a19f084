"""The dead letters in Redis: found, shown, put back and dropped."""

import base64
import contextlib
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import ValidationError

from memstream.contracts import ids, keys
from memstream.contracts.dead_letters import (
    DeadLetter,
    DeadLetterContent,
    DeadLetterPage,
    LetterName,
    LetterOutcome,
    LetterResult,
)
from memstream.contracts.events import MessageDeleted, MessageRecorded, UserErased, decode_event
from memstream.ingest.durability import Durability
from memstream.streams.connections import Redis, decoded, redis_faults
from memstream.streams.dead_letter_scripts import (
    REPLAY,
    REPLAY_DELETION,
    ReplayArguments,
    ReplayDeletionKeys,
    ReplayKeys,
)
from memstream.streams.scripts import ScriptCall, Scripts

_ORIGINAL = b"original:"
_ENTRY = re.compile(r"\d{1,20}-\d{1,20}", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

_CHUNK = 50
"""Letters read at once. One may hold a text of 64 KiB and more."""

_EXAMINED = 5_000
"""Letters looked at for one page; a page that finds little ends there, with a cursor."""

Fields = Mapping[bytes, bytes]
Event = MessageRecorded | MessageDeleted | UserErased


@dataclass(frozen=True, slots=True)
class LetterFilter:
    """Which letters; what is None doesn't matter."""

    dead_class: str | None = None
    reason: str | None = None
    """A part of the reason."""
    tenant: str | None = None
    after: datetime | None = None
    """Died then or later."""
    before: datetime | None = None
    """Died earlier."""

    def fits(self, letter: DeadLetter) -> bool:
        """Say whether a letter is meant; its time has been seen to."""
        return (
            (self.dead_class is None or letter.dead_class == self.dead_class)
            and (self.reason is None or self.reason in (letter.reason or ""))
            and (self.tenant is None or letter.tenant == self.tenant)
        )


class DeadLetters:
    """Lists dead letters of all partitions, puts them back on their streams, or drops them.

    A message that comes back without a seen-key gets one, for `dedup_seconds`.
    """

    def __init__(self, client: Redis, durability: Durability, *, partitions: int, dedup_seconds: int) -> None:
        self._client = client
        self._durability = durability
        self._scripts = Scripts(client, durability.execute)
        self._partitions = partitions
        self._dedup_seconds = dedup_seconds

    async def page(self, wanted: LetterFilter, cursor: LetterName | None, limit: int) -> DeadLetterPage:
        """List letters after the cursor's, in the order they died.

        Raises:
            Unavailable: Redis is out of reach.

        """
        found: list[DeadLetter] = []
        examined = 0
        async with contextlib.aclosing(self._merged(wanted, cursor)) as letters:
            async for name, fields in letters:
                if len(found) == limit or examined == _EXAMINED:
                    return DeadLetterPage(letters=found, cursor=str(cursor))
                examined += 1
                cursor = name
                letter = _summary(name, fields)
                if wanted.fits(letter):
                    found.append(letter)
        return DeadLetterPage(letters=found, cursor=None)

    async def read(self, name: LetterName) -> DeadLetterContent | None:
        """Give a letter with what is in it; None if it isn't there.

        Raises:
            Unavailable: Redis is out of reach.

        """
        (fields,) = await self._read([name])
        if fields is None:
            return None
        event = _event(fields)
        data = fields.get(_ORIGINAL + keys.DATA_FIELD.encode(), b"")
        return DeadLetterContent(
            **_summary(name, fields).model_dump(by_alias=False),
            event=event.model_dump(mode="json") if event else None,
            data_base64=None if event else base64.b64encode(data).decode(),
        )

    async def replay(self, names: Sequence[LetterName]) -> list[LetterResult]:
        """Put letters back on their streams durably, each once, and say what became of each, in order.

        Raises:
            Unavailable: Redis is out of reach. Some may be back; asking again adds nothing, and says `missing` of them.

        """
        results: list[LetterResult] = []
        for start in range(0, len(names), _CHUNK):
            part = names[start : start + _CHUNK]
            fields = await self._read(part)
            replays = [_replay(name, found, self._dedup_seconds) for name, found in zip(part, fields, strict=True)]
            calls = [replay for replay in replays if isinstance(replay, ScriptCall)]
            answers = iter(await self._scripts.run_all(calls) if calls else [])
            results += [
                LetterResult.model_validate(
                    {"id": str(name), "outcome": next(answers) if isinstance(replay, ScriptCall) else replay}
                )
                for name, replay in zip(part, replays, strict=True)
            ]
        return results

    async def drop(self, names: Sequence[LetterName]) -> list[LetterResult]:
        """Drop letters for good, durably, and say of each whether it was there, in order.

        Raises:
            Unavailable: Redis is out of reach. Some may be dropped; asking again does no harm.

        """
        with redis_faults():
            async with self._client.pipeline(transaction=False) as pipe:
                for name in names:
                    pipe.xdel(keys.dead_letters(name.partition), name.entry_id)
                answers = await self._durability.execute(pipe)
        return [
            LetterResult(id=str(name), outcome="dropped" if answer else "missing")
            for name, answer in zip(names, answers, strict=True)
        ]

    async def _read(self, names: Sequence[LetterName]) -> list[Fields | None]:
        with redis_faults():
            async with self._client.pipeline(transaction=False) as pipe:
                for name in names:
                    pipe.xrange(keys.dead_letters(name.partition), name.entry_id, name.entry_id)
                answers: list[Any] = await pipe.execute()
        return [found[0][1] if found else None for found in answers]

    async def _merged(
        self, wanted: LetterFilter, cursor: LetterName | None
    ) -> AsyncGenerator[tuple[LetterName, Fields], None]:
        """Give the letters of all partitions in one order, from the cursor on, within the filter's time."""
        partitions = [self._letters(partition, wanted, cursor) for partition in range(self._partitions)]
        heads = [(head, letters) for letters in partitions if (head := await anext(letters, None)) is not None]
        while heads:
            place = min(range(len(heads)), key=lambda place: heads[place][0][0].order)
            head, letters = heads[place]
            yield head
            following = await anext(letters, None)
            heads[place : place + 1] = [] if following is None else [(following, letters)]

    async def _letters(
        self, partition: int, wanted: LetterFilter, cursor: LetterName | None
    ) -> AsyncGenerator[tuple[LetterName, Fields], None]:
        start, end = _bounds(wanted, partition, cursor)
        while True:
            with redis_faults():
                chunk: Any = await self._client.xrange(keys.dead_letters(partition), start, end, count=_CHUNK)
            for entry_id, fields in chunk:
                yield LetterName(partition, decoded(entry_id)), fields
            if len(chunk) < _CHUNK:
                return
            start = f"({decoded(chunk[-1][0])}"


def _bounds(wanted: LetterFilter, partition: int, cursor: LetterName | None) -> tuple[str, str]:
    """Give the first and the last entry id that XRANGE is to look at."""
    start = "-" if wanted.after is None else str(_milliseconds_up_to(wanted.after))
    end = "+" if wanted.before is None else f"({_milliseconds_up_to(wanted.before)}-0"
    if cursor is not None and (wanted.after is None or cursor.order[0] >= _milliseconds_up_to(wanted.after)):
        # Letters of one moment follow each other by partition.
        start = f"({cursor.entry_id}" if partition <= cursor.partition else cursor.entry_id
    return start, end


def _milliseconds_up_to(time: datetime) -> int:
    """Give the first whole millisecond at or after a time."""
    # XRANGE refuses to end before the first id there can be.
    return max(1, -((_EPOCH - time) // _MILLISECOND))


def _event(fields: Fields) -> Event | None:
    try:
        return decode_event(fields[_ORIGINAL + keys.DATA_FIELD.encode()])
    except (KeyError, ValidationError):
        return None


def _summary(name: LetterName, fields: Fields) -> DeadLetter:
    event = _event(fields)
    attempts = _text(fields, b"attempts") or ""
    return DeadLetter.model_validate(
        {
            "id": str(name),
            "partition": name.partition,
            "class": _text(fields, b"class"),
            "reason": _text(fields, b"reason"),
            "attempts": int(attempts) if attempts.isascii() and attempts.isdigit() else None,
            "stream": _text(fields, b"stream"),
            "died_at": _EPOCH + name.order[0] * _MILLISECOND,
            "type": event.type if event else None,
            "tenant": event.tenant if event else None,
            "user_id": event.user_id if event else None,
            "message_id": None if event is None or isinstance(event, UserErased) else event.message_id,
            "size": sum(len(key) - len(_ORIGINAL) + len(fields[key]) for key in fields if key.startswith(_ORIGINAL)),
        }
    )


def _text(fields: Fields, name: bytes) -> str | None:
    value = fields.get(name)
    return None if value is None else value.decode(errors="replace")


def _replay(name: LetterName, fields: Fields | None, lifetime: int) -> ScriptCall[str] | LetterOutcome:
    """Return the call that replays a dead letter, or its outcome if that is clear. A dead letter never changes."""
    if fields is None:
        return "missing"
    event = _event(fields)
    stream, entry_id = _text(fields, b"stream") or "", _text(fields, b"entry_id") or ""
    lane = next((lane for lane in keys.LANES if keys.stream(name.partition, lane) == stream), None)
    is_complete = any(key.startswith(_ORIGINAL) for key in fields) and _ENTRY.fullmatch(entry_id)
    if lane is None or not is_complete or isinstance(event, UserErased):
        return "refused"
    dead_letters = keys.dead_letters(name.partition)
    arguments = ReplayArguments(name.entry_id, entry_id, lane, f"{name.partition}.{lane}.", lifetime)
    match event:
        case MessageRecorded():
            seen = keys.seen(name.partition, ids.message_key(event.tenant, event.user_id, event.message_id))
            erased = keys.erased(name.partition, ids.owner_key(event.tenant, event.user_id))
            return REPLAY.call(ReplayKeys(dead_letters, stream, seen, erased), arguments)
        case MessageDeleted():
            receipt = keys.erasure(name.partition, event.erasure_id)
            return REPLAY_DELETION.call(ReplayDeletionKeys(dead_letters, stream, receipt), arguments)
        case None:
            return REPLAY.call(ReplayKeys(dead_letters, stream), arguments)
