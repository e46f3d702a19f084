"""Posted messages: each is validated on its own, and all are appended in one round trip."""

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError

from memstream.contracts.keys import Lane
from memstream.contracts.limits import Limits
from memstream.contracts.messages import LineError, MessageIn, MessagePut
from memstream.ingest.answers import AppendResult, Outcome
from memstream.ingest.appends import Appended
from memstream.ingest.group_commit import GroupCommit
from memstream.ingest.metrics import IngestMetrics
from memstream.ingest.recorder import NewEntry, Recorder
from memstream.runtime.errors import TooLarge

_MESSAGE = TypeAdapter(MessageIn).validator
"""Used for every message: the model's own methods take a fifth longer."""

_VERSION = TypeAdapter(MessagePut).validator

_SHOWN_FAULTS = 5
_SHOWN_NAME = 100
"""Limits of an error text: a line may have any number of unknown fields, with names of any length."""


@dataclass(frozen=True, slots=True)
class Intake:
    """Validates posted messages and appends them."""

    recorder: Recorder
    commits: GroupCommit[NewEntry, Appended]
    limits: Limits
    now: Callable[[], datetime]
    metrics: IngestMetrics

    async def take(self, body: bytes, tenant: str) -> AppendResult:
        """Append one message, given as JSON.

        Raises:
            ValidationError: the message is not valid; nothing was appended.
            Overloaded, Unavailable: it cannot be appended now.

        """
        return await self._take(_MESSAGE.validate_json(body, context=self._context()), tenant, replaces=False)

    async def take_version(self, body: bytes, tenant: str) -> AppendResult:
        """Append a new version of a message, given as JSON. It's refused as a duplicate only if it was deleted.

        Raises:
            ValidationError: the message is not valid; nothing was appended.
            Overloaded, Unavailable: it cannot be appended now.

        """
        return await self._take(_VERSION.validate_json(body, context=self._context()), tenant, replaces=True)

    async def _take(self, message: MessageIn, tenant: str, *, replaces: bool) -> AppendResult:
        entry = self.recorder.record(message, tenant, "live", replaces=replaces)
        (appended,) = await self._commit([entry])
        self.metrics.count(duplicates=appended.duplicate, accepted=not appended.duplicate)
        return _taken(entry, appended)

    async def take_lines(self, pieces: AsyncIterable[bytes], tenant: str, lane: Lane) -> list[Outcome]:
        """Append messages given as JSON lines, validated while they arrive; blank lines are skipped.

        Raises:
            TooLarge: too many lines; nothing was appended.
            Overloaded, Unavailable: they cannot be appended now.

        """
        read: list[NewEntry | LineError] = []
        async for lines in _lines(pieces):
            self._count(len(read) + len(lines))
            read += self._read(_MESSAGE.validate_json, lines, tenant, lane)
        return await self._append(read)

    async def take_list(self, messages: Sequence[Any], tenant: str, lane: Lane) -> list[Outcome]:
        """Append messages given as the items of a JSON array.

        Raises:
            TooLarge: too many items; nothing was appended.
            Overloaded, Unavailable: they cannot be appended now.

        """
        self._count(len(messages))
        return await self._append(self._read(_MESSAGE.validate_python, messages, tenant, lane))

    async def _commit(self, entries: Sequence[NewEntry]) -> Sequence[Appended]:
        with self.metrics.append_seconds.time():
            return await self.commits.commit(entries)

    def _context(self) -> dict[str, Any]:
        return {"limits": self.limits, "now": self.now()}

    def _count(self, messages: int) -> None:
        if messages > self.limits.batch_messages:
            raise TooLarge("messages", f"more than {self.limits.batch_messages} in one batch")

    def _read(
        self, parse: Callable[..., MessageIn], raw: Iterable[object], tenant: str, lane: Lane
    ) -> list[NewEntry | LineError]:
        """Validate messages, each on its own."""
        context = self._context()
        read: list[NewEntry | LineError] = []
        for one in raw:
            try:
                read.append(self.recorder.record(parse(one, context=context), tenant, lane))
            except ValidationError as error:
                read.append(_line_error(error))
        return read

    async def _append(self, read: Sequence[NewEntry | LineError]) -> list[Outcome]:
        entries = [one for one in read if isinstance(one, NewEntry)]
        appended = await self._commit(entries) if entries else []
        taken = map(_taken, entries, appended)
        duplicates = sum(one.duplicate for one in appended)
        self.metrics.count(accepted=len(entries) - duplicates, duplicates=duplicates, rejected=len(read) - len(entries))
        return [one if isinstance(one, LineError) else next(taken) for one in read]


def _taken(entry: NewEntry, appended: Appended) -> AppendResult:
    return AppendResult(entry.message_id, appended.position, appended.duplicate, appended.deleted)


def _line_error(error: ValidationError) -> LineError:
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    code = "malformed" if faults[0]["type"] == "json_invalid" else "invalid"
    texts = []
    for fault in faults[:_SHOWN_FAULTS]:
        field = ".".join(str(part) for part in fault["loc"])[:_SHOWN_NAME]
        reason = "is not a field of a message" if fault["type"] == "extra_forbidden" else fault["msg"]
        texts.append(f"{field}: {reason}".removeprefix(": ").replace("Value error, ", ""))
    more = f" (and {len(faults) - _SHOWN_FAULTS} more)" if len(faults) > _SHOWN_FAULTS else ""
    return LineError(code=code, message="; ".join(texts) + more)


async def _lines(pieces: AsyncIterable[bytes]) -> AsyncIterator[list[bytes]]:
    """Yield the lines that each piece completes, without blank ones."""
    rest = b""
    async for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        yield [line for line in lines if line.strip()]
    if rest.strip():
        yield [rest]
