"""Posted messages: each is validated on its own, and all are appended in one round trip."""

from collections.abc import AsyncIterable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import PydanticCustomError, ValidationError

from memstream.contracts.keys import Lane
from memstream.contracts.limits import Limits
from memstream.contracts.messages import LineError, MessageIn, MessagePut
from memstream.ingest.answers import AppendResult, Outcome
from memstream.ingest.appends import Appended
from memstream.ingest.batch_bodies import Batch, find_messages, has_too_many_parts, largest_message, split_lines
from memstream.ingest.group_commit import GroupCommit
from memstream.ingest.metrics import IngestMetrics
from memstream.ingest.recorder import NewEntry, Recorder
from memstream.ingest.tenant_quotas import Admission, Quotas, Unlimited
from memstream.runtime.errors import Forbidden, Invalid, OverQuota, TooLarge
from memstream.runtime.turns import Turn, Turns
from memstream.web.credentials import Credential

_MESSAGE = TypeAdapter(MessageIn).validator
"""Used for every message: the model's own methods take a fifth longer."""

_VERSION = TypeAdapter(MessagePut).validator

_CUT_BYTES = 1024
"""Enough of a body that is not what it should be."""

_TOO_MANY_PARTS = ValidationError.from_exception_data(
    MessageIn.__name__,
    [
        {
            "type": PydanticCustomError("too_many_parts", "has more fields, lists or objects than a message may have"),
            "loc": (),
            "input": None,
        }
    ],
)

_ADMITTED_AT_ONCE = 100
"""Messages of a batch. Those behind the first one over a limit are not parsed: to refuse them has to cost little."""

_SHOWN_FAULTS = 5
_SHOWN_NAME = 100
"""Limits of an error text: a line may have any number of unknown fields, with names of any length."""


@dataclass(slots=True)
class _Reading:
    """What was read of a batch."""

    outcomes: list[NewEntry | LineError] = field(default_factory=list)
    admitted: list[NewEntry] = field(default_factory=list)
    asking: list[tuple[int, NewEntry]] = field(default_factory=list)
    """The messages that were not admitted yet, and where they are."""
    refusal: LineError | None = None
    """The error of all messages that follow, once one is over a limit."""

    def add(self, entry: NewEntry) -> None:
        """Add a message that asks to be admitted."""
        self.asking.append((len(self.outcomes), entry))
        self.outcomes.append(entry)


@dataclass(frozen=True, slots=True)
class Intake:
    """Validates posted messages and appends them."""

    recorder: Recorder
    commits: GroupCommit[NewEntry, Appended]
    limits: Limits
    now: Callable[[], datetime]
    metrics: IngestMetrics
    turns: Turns
    quotas: Quotas = field(default_factory=Unlimited)

    async def take(self, body: bytes, caller: Credential, *, replaces: bool = False) -> AppendResult:
        """Append one message, given as JSON. With `replaces` it is a new version, a duplicate only if it was deleted.

        Raises:
            ValidationError: the message is not valid; nothing was appended.
            Forbidden: the caller can't write as its user; nothing was appended.
            Overloaded, Unavailable: it cannot be appended now; `OverQuota` is a limit of the tenant's.

        """
        message = self._parse(body, self._context(), _VERSION if replaces else _MESSAGE)
        caller.check_user(message.user_id)
        await self.quotas.admit(caller.tenant, 1)
        entry = self.recorder.record(message, caller.tenant, "live", replaces=replaces)
        (appended,) = await self._commit([entry], caller.tenant)
        self.metrics.count(duplicates=appended.duplicate, accepted=not appended.duplicate)
        return _taken(entry, appended)

    async def take_lines(self, pieces: AsyncIterable[bytes], caller: Credential, lane: Lane) -> list[Outcome]:
        """Append messages given as JSON lines, validated while they arrive; blank lines are skipped.

        Raises:
            TooLarge: too many lines, or one that is too long; nothing was appended.
            Overloaded, Unavailable: they cannot be appended now.

        """
        reading = _Reading()
        turn = self.turns.begin()
        async for lines in split_lines(pieces, largest_message(self.limits)):
            await self._read(lines, caller, lane, turn, reading)
        return await self._append(reading, caller.tenant)

    async def take_json(self, body: bytes, caller: Credential, lane: Lane | None) -> list[Outcome]:
        """Append messages given as a `BatchIn`, in `lane` if the body names none.

        Raises:
            ValidationError: the body is not JSON, or not a `BatchIn`.
            Invalid: the body names another lane than `lane`.
            TooLarge: too many messages, or one that is too long; nothing was appended.
            Overloaded, Unavailable: they cannot be appended now.

        """
        turn = self.turns.begin()
        finding = find_messages(body, self.limits)
        while True:
            try:
                next(finding)
            except StopIteration as end:
                batch: Batch = end.value
                break
            await turn.pause_if_over()
        if lane is not None and batch.lane not in {None, lane}:
            raise Invalid("lane", f"is {lane!r} in the query and {batch.lane!r} in the body")
        reading = _Reading()
        await self._read(batch.messages, caller, batch.lane or lane or "live", turn, reading)
        return await self._append(reading, caller.tenant)

    async def _commit(self, entries: Sequence[NewEntry], tenant: str) -> Sequence[Appended]:
        with self.metrics.append_seconds.time():
            appended = await self.commits.commit(entries, tenant)
        await self.quotas.count(tenant, entries, appended)
        return appended

    def _context(self) -> dict[str, Any]:
        return {"limits": self.limits, "now": self.now()}

    async def _read(self, raw: Iterable[bytes], caller: Credential, lane: Lane, turn: Turn, reading: _Reading) -> None:
        """Validate messages, each on its own, and admit them, up to the first one that is over a limit."""
        context = self._context()
        outcomes = reading.outcomes
        for one in raw:
            if len(outcomes) == self.limits.batch_messages:
                raise TooLarge("messages", f"more than {self.limits.batch_messages} in one batch")
            if reading.refusal is not None:
                outcomes.append(reading.refusal)
                continue
            try:
                message = self._parse(one, context)
                caller.check_user(message.user_id)
                reading.add(self.recorder.record(message, caller.tenant, lane))
            except ValidationError as error:
                outcomes.append(_line_error(error))
            except Forbidden as error:
                outcomes.append(LineError(code="forbidden", message=f"{error.field}: {error}"))
            if len(reading.asking) == _ADMITTED_AT_ONCE:
                await self._admit(reading, caller.tenant)
            await turn.pause_if_over()

    async def _admit(self, reading: _Reading, tenant: str) -> None:
        """Admit those that ask for it, in order.

        Raises:
            OverQuota: not one message of the batch is admitted.
            Unavailable: Redis cannot be reached.

        """
        asking, reading.asking = reading.asking, []
        if not asking:
            return
        try:
            admission = await self.quotas.admit(tenant, len(asking), admitted=len(reading.admitted))
        except OverQuota as refusal:
            if not reading.admitted:
                raise
            admission = Admission(0, refusal)
        reading.admitted += [entry for _, entry in asking[: admission.messages]]
        for place, _ in asking[admission.messages :]:
            reading.outcomes[place] = reading.refusal = admission.line_error()

    def _parse(self, raw: bytes, context: dict[str, Any], form: Any = _MESSAGE) -> MessageIn:  # noqa: ANN401 - pydantic has no public type for it
        if has_too_many_parts(raw, self.limits):
            # What is no object is not JSON either once it is cut.
            if not raw.lstrip().startswith(b"{"):
                raw = raw[:_CUT_BYTES]
            else:
                raise _TOO_MANY_PARTS
        message: MessageIn = form.validate_json(raw, context=context)
        return message

    async def _append(self, reading: _Reading, tenant: str) -> list[Outcome]:
        await self._admit(reading, tenant)
        entries, outcomes = reading.admitted, reading.outcomes
        appended = await self._commit(entries, tenant) if entries else []
        taken = map(_taken, entries, appended)
        duplicates = sum(one.duplicate for one in appended)
        self.metrics.count(
            accepted=len(entries) - duplicates, duplicates=duplicates, rejected=len(outcomes) - len(entries)
        )
        return [one if isinstance(one, LineError) else next(taken) for one in outcomes]


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
