"""What becomes of posted messages: each is validated for itself, and all are appended in one go."""

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from memstream.contracts.keys import Lane
from memstream.contracts.limits import Limits
from memstream.contracts.messages import Accepted, AcceptedLine, BatchOut, LineError, MessageIn, RejectedLine
from memstream.ingest.group_commit import GroupCommit
from memstream.ingest.metrics import IngestMetrics
from memstream.ingest.recording import Entry, Recorder
from memstream.ingest.stream_log import Appended
from memstream.runtime.errors import TooLarge

_SHOWN_FAULTS = 5
_SHOWN_NAME = 100
"""Of all that is wrong with a line so much is told. A line can hold any number of unknown fields, of any length."""


@dataclass(frozen=True, slots=True)
class Intake:
    """Turns what was posted into appended entries."""

    recorder: Recorder
    commits: GroupCommit[Entry, Appended]
    limits: Limits
    now: Callable[[], datetime]
    metrics: IngestMetrics

    async def take(self, body: bytes, tenant: str) -> Accepted:
        """Append one message, given as JSON.

        Raises:
            ValidationError: it doesn't fit; nothing was appended.
            Overloaded, Unavailable: it can't be appended now.

        """
        message = MessageIn.model_validate_json(body, context=self._context())
        entry = self.recorder.record(message, tenant, "live")
        (appended,) = await self._commit([entry])
        self.metrics.messages.labels("duplicate" if appended.duplicate else "accepted").inc()
        return _accepted(entry, appended)

    async def take_lines(self, pieces: AsyncIterable[bytes], tenant: str, lane: Lane) -> BatchOut:
        """Append messages given as JSON lines, validated while they arrive; blank lines don't count.

        Raises:
            TooLarge: too many lines; nothing was appended.
            Overloaded, Unavailable: they can't be appended now.

        """
        outcomes: list[Entry | LineError] = []
        async for line in _lines(pieces):
            self._count(len(outcomes) + 1)
            outcomes.append(self._read(MessageIn.model_validate_json, line, tenant, lane))
        return await self._append(outcomes)

    async def take_list(self, messages: Sequence[Any], tenant: str, lane: Lane) -> BatchOut:
        """Append messages given as the items of a JSON array.

        Raises:
            TooLarge: too many items; nothing was appended.
            Overloaded, Unavailable: they can't be appended now.

        """
        self._count(len(messages))
        return await self._append([self._read(MessageIn.model_validate, item, tenant, lane) for item in messages])

    async def _commit(self, entries: Sequence[Entry]) -> Sequence[Appended]:
        with self.metrics.append_seconds.time():
            return await self.commits.commit(entries)

    def _context(self) -> dict[str, Any]:
        return {"limits": self.limits, "now": self.now()}

    def _count(self, messages: int) -> None:
        if messages > self.limits.batch_messages:
            raise TooLarge(f"messages: more than {self.limits.batch_messages} in one batch")

    def _read(self, parse: Callable[..., MessageIn], raw: object, tenant: str, lane: Lane) -> Entry | LineError:
        try:
            return self.recorder.record(parse(raw, context=self._context()), tenant, lane)
        except ValidationError as error:
            return _line_error(error)

    async def _append(self, outcomes: Sequence[Entry | LineError]) -> BatchOut:
        entries = [outcome for outcome in outcomes if isinstance(outcome, Entry)]
        appended = iter(await self._commit(entries) if entries else [])
        results: list[AcceptedLine | RejectedLine] = []
        for index, outcome in enumerate(outcomes):
            if isinstance(outcome, LineError):
                results.append(RejectedLine(index=index, error=outcome))
            else:
                one = next(appended)
                results.append(
                    AcceptedLine.model_construct(
                        index=index,
                        message_id=outcome.message_id,
                        position=str(one.position),
                        duplicate=one.duplicate,
                        deleted=one.deleted,
                    )
                )
        out = _summary(results)
        for name, count in (("accepted", out.accepted), ("duplicate", out.duplicates), ("rejected", out.rejected)):
            self.metrics.messages.labels(name).inc(count)
        return out


def _accepted(entry: Entry, appended: Appended) -> Accepted:
    return Accepted(
        message_id=entry.message_id,
        position=str(appended.position),
        duplicate=appended.duplicate,
        deleted=appended.deleted,
    )


def _summary(results: list[AcceptedLine | RejectedLine]) -> BatchOut:
    duplicates = sum(isinstance(r, AcceptedLine) and r.duplicate for r in results)
    rejected = sum(isinstance(r, RejectedLine) for r in results)
    return BatchOut(
        accepted=len(results) - duplicates - rejected, duplicates=duplicates, rejected=rejected, results=results
    )


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


async def _lines(pieces: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    rest = bytearray()
    async for piece in pieces:
        rest += piece
        *complete, last = rest.split(b"\n")
        for line in _filled(complete):
            yield line
        rest = last
    for line in _filled([rest]):
        yield line


def _filled(lines: Iterable[bytearray]) -> Iterable[bytes]:
    return (bytes(line) for line in lines if line.strip())
