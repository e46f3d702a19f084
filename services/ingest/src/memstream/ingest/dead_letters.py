"""The dead letters in Redis: listed, read, replayed and dropped."""

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
from memstream.streams.appending import lane_keys
from memstream.streams.connections import Redis, decoded, redis_faults
from memstream.streams.dead_letter_scripts import (
    DROP_LETTER,
    REPLAY,
    REPLAY_DELETION,
    LetterArguments,
    LetterKeys,
    ReplayArguments,
    ReplayDeletionKeys,
    ReplayKeys,
)
from memstream.streams.partitioning import PartitionRecord
from memstream.streams.scripts import ScriptCall, Scripts

_ORIGINAL = b"original:"
_ENTRY = re.compile(r"\d{1,20}-\d{1,20}", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

_CHUNK = 50
"""Letters read at once. One may have a text of 64 KiB and more."""

_EXAMINED = 5_000
"""Letters examined for one page. A page with few matches ends there, with a cursor."""

Fields = Mapping[bytes, bytes]
Event = MessageRecorded | MessageDeleted | UserErased


@dataclass(frozen=True, slots=True)
class LetterFilter:
    """Conditions on dead letters; None is no condition."""

    dead_class: str | None = None
    reason: str | None = None
    """A part of the reason."""
    tenant: str | None = None
    after: datetime | None = None
    """Dead-lettered at this time or later."""
    before: datetime | None = None
    """Dead-lettered before this time."""

    def matches(self, letter: DeadLetter) -> bool:
        """Return whether a letter matches, apart from its time."""
        return (
            (self.dead_class is None or letter.dead_class == self.dead_class)
            and (self.reason is None or self.reason in (letter.reason or ""))
            and (self.tenant is None or letter.tenant == self.tenant)
        )


class DeadLetters:
    """Lists the dead letters of all partitions, replays or drops them.

    A replayed message whose seen-key has expired gets a new one, for `dedup_seconds`.
    """

    def __init__(self, client: Redis, durability: Durability, record: PartitionRecord, *, dedup_seconds: int) -> None:
        self._client = client
        self._durability = durability
        self._scripts = Scripts(client, durability.execute)
        self._record = record
        self._dedup_seconds = dedup_seconds

    async def page(self, wanted: LetterFilter, cursor: LetterName | None, limit: int) -> DeadLetterPage:
        """Return a page of letters behind the cursor, oldest first.

        Raises:
            Unavailable: Redis cannot be reached.

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
                if wanted.matches(letter):
                    found.append(letter)
        return DeadLetterPage(letters=found, cursor=None)

    async def read(self, name: LetterName) -> DeadLetterContent | None:
        """Return a letter with its content; None if it does not exist.

        Raises:
            Unavailable: Redis cannot be reached.

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
        """Put letters back on their streams durably, each once, and return the outcomes in order.

        Raises:
            Unavailable: Redis cannot be reached. Some may be replayed; a repeated request reports them as `missing`.

        """
        results: list[LetterResult] = []
        for start in range(0, len(names), _CHUNK):
            part = names[start : start + _CHUNK]
            fields = await self._read(part)
            replays = [_replay(name, found, self._dedup_seconds) for name, found in zip(part, fields, strict=True)]
            if self._record.partitioning.has_grown:
                await self._drop_older(part, fields, replays)
            calls = [replay for replay in replays if isinstance(replay, ScriptCall)]
            answers = iter(await self._scripts.run_all(calls) if calls else [])
            results += [
                LetterResult.model_validate(
                    {"id": str(name), "outcome": next(answers) if isinstance(replay, ScriptCall) else replay}
                )
                for name, replay in zip(part, replays, strict=True)
            ]
        return results

    async def _drop_older(
        self,
        names: Sequence[LetterName],
        fields: Sequence[Fields | None],
        replays: list[ScriptCall[str] | LetterOutcome],
    ) -> None:
        """Drop letters of which there is a later message with the same id, in a partition that its user moved to."""
        for index, (name, found) in enumerate(zip(names, fields, strict=True)):
            event = None if found is None else _event(found)
            if isinstance(event, MessageRecorded) and await self._is_posted_elsewhere(name.partition, event):
                await self._scripts.run_all([_drop(name, found)])
                replays[index] = "dropped"

    async def _is_posted_elsewhere(self, partition: int, event: MessageRecorded) -> bool:
        partitioning = self._record.partitioning
        present = ids.partition(event.tenant, event.user_id, partitioning.partitions)
        message = ids.message_key(event.tenant, event.user_id, event.message_id)
        for each in (present, *partitioning.former(present)):
            if each == partition:
                break
            with redis_faults():
                if await self._client.exists(keys.seen(each, message)):
                    return True
        return False

    async def drop(self, names: Sequence[LetterName]) -> list[LetterResult]:
        """Remove letters for good, durably, and return for each whether it existed, in order.

        Raises:
            Unavailable: Redis cannot be reached. Some may be removed; repeating the request does no harm.

        """
        results: list[LetterResult] = []
        for start in range(0, len(names), _CHUNK):
            part = names[start : start + _CHUNK]
            found = await self._read(part)
            calls = [_drop(name, fields) for name, fields in zip(part, found, strict=True)]
            answers = await self._scripts.run_all(calls)
            results += [
                LetterResult(id=str(name), outcome="dropped" if answer else "missing")
                for name, answer in zip(part, answers, strict=True)
            ]
        return results

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
        """Yield the letters of all partitions, oldest first, from the cursor on, within the filter's time."""
        partitions = [
            self._letters(partition, wanted, cursor) for partition in range(self._record.partitioning.partitions)
        ]
        heads = [(head, letters) for letters in partitions if (head := await anext(letters, None)) is not None]
        while heads:
            first = min(range(len(heads)), key=lambda index: heads[index][0][0].order)
            head, letters = heads[first]
            yield head
            following = await anext(letters, None)
            heads[first : first + 1] = [] if following is None else [(following, letters)]

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
    """Return the first and the last entry id for XRANGE."""
    start = "-" if wanted.after is None else str(_milliseconds_up_to(wanted.after))
    end = "+" if wanted.before is None else f"({_milliseconds_up_to(wanted.before)}-0"
    if cursor is not None and (wanted.after is None or cursor.order[0] >= _milliseconds_up_to(wanted.after)):
        # Letters of the same millisecond are sorted by partition.
        start = f"({cursor.entry_id}" if partition <= cursor.partition else cursor.entry_id
    return start, end


def _milliseconds_up_to(time: datetime) -> int:
    """Return the first whole millisecond at or after a time."""
    # XRANGE refuses an end before the first possible id.
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


def _letter_keys(name: LetterName, event: MessageRecorded) -> LetterKeys:
    partition, owner = name.partition, ids.owner_key(event.tenant, event.user_id)
    return LetterKeys(
        keys.dead_letters(partition),
        keys.letters(partition),
        keys.letters_of(partition, owner),
        keys.seen(partition, ids.message_key(event.tenant, event.user_id, event.message_id)),
        keys.erased(partition, owner),
    )


def _drop(name: LetterName, fields: Fields | None) -> ScriptCall[bool]:
    event = None if fields is None else _event(fields)
    arguments = LetterArguments(name.entry_id, "")
    if isinstance(event, MessageRecorded):
        return DROP_LETTER.call(_letter_keys(name, event), arguments)
    # It is noted for nobody.
    nobody = keys.letters(name.partition)
    return DROP_LETTER.call(LetterKeys(keys.dead_letters(name.partition), nobody, nobody, nobody, nobody), arguments)


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
    arguments = ReplayArguments(name.entry_id, entry_id, f"{name.partition}.{lane}.", lifetime)
    match event:
        case MessageRecorded():
            _, *others = _letter_keys(name, event)
            return REPLAY.call(ReplayKeys(lane_keys(name.partition, lane), dead_letters, *others), arguments)
        case MessageDeleted():
            receipt = keys.erasure(name.partition, event.erasure_id)
            return REPLAY_DELETION.call(
                ReplayDeletionKeys(lane_keys(name.partition, lane), dead_letters, receipt), arguments
            )
        case None:
            return REPLAY.call(ReplayKeys(lane_keys(name.partition, lane), dead_letters), arguments)
