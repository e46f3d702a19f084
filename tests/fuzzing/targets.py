"""What is fuzzed: functions that read bytes from outside, and what must hold of them for any bytes."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count

import atheris
import orjson
from prometheus_client import CollectorRegistry
from pydantic import TypeAdapter, ValidationError

with atheris.instrument_imports(include=["memstream"]):
    from memstream.contracts.limits import Limits
    from memstream.contracts.searches import Filter
    from memstream.embedder.chunks import Chunker
    from memstream.embedder.jobs import Delivery, EmbeddingJob, decode, prepare
    from memstream.ingest.appends import Appended
    from memstream.ingest.group_commit import Amount, GroupCommit
    from memstream.ingest.intake import Intake
    from memstream.ingest.metrics import IngestMetrics
    from memstream.ingest.recorder import NewEntry, Recorder, size_of
    from memstream.retriever.asking.questions import read_question
    from memstream.retriever.candidates.conditions import conditions_of
    from memstream.runtime.clock import SystemClock
    from memstream.runtime.errors import TooLarge
    from memstream.runtime.turns import Turns
    from memstream.vectors.store import Expiry, owner_of
    from memstream.vectors.store.qdrant.filters import owned
    from memstream.web.credentials import Credential

Check = Callable[[bytes], None]

_NOW = datetime(2026, 3, 14, 12, tzinfo=UTC)
_LINES = 50


@dataclass(frozen=True, slots=True)
class Target:
    """Inputs to begin with, and what makes the function that is tried with each input."""

    samples: Sequence[bytes]
    make: Callable[[], Check]
    longest: int = 2048
    """Bytes of an input."""


def _stream_decoder() -> Check:
    """Whatever lies in an entry's data, it ends as a job, a request or an outcome, with chunks that hold its text."""
    chunker = Chunker(24, 6)

    def check(data: bytes) -> None:
        prepared = prepare(decode(Delivery("s", "live", 0, "1-0", {b"data": data})), chunker, 5, lambda: _NOW)
        if isinstance(prepared, EmbeddingJob):
            assert prepared.chunks
            assert all(chunk in prepared.message.text for chunk in prepared.chunks)

    return check


async def _append(entries: Sequence[NewEntry]) -> list[Appended]:
    numbers = count(1)
    return [Appended(f"0.live.{next(numbers)}-0", duplicate=False) for _ in entries]


def _intake() -> Intake:
    commits = GroupCommit(_append, size_of, limit=Amount(1000, 2**20), waiting_limit=Amount(1000, 2**20))
    recorder = Recorder(1, lambda: _NOW, random.Random(1))  # noqa: S311 - the same ids in each run
    limits = Limits(batch_messages=_LINES)
    return Intake(recorder, commits, limits, lambda: _NOW, IngestMetrics(CollectorRegistry()), Turns(SystemClock()))


def _batch_lines() -> Check:
    """However its pieces are cut, a batch has an outcome for each line that is not blank, or is too large."""
    loop = asyncio.new_event_loop()
    intake = _intake()

    def check(data: bytes) -> None:
        piece = 1 + data[0] if data else 1
        body = data[1:]

        async def pieces() -> AsyncIterator[bytes]:
            for start in range(0, len(body), piece):
                yield body[start : start + piece]

        lines = [line for line in body.split(b"\n") if line.strip()]
        try:
            outcomes = loop.run_until_complete(intake.take_lines(pieces(), Credential("tenant"), "live"))
        except TooLarge:
            assert len(lines) > _LINES
        else:
            assert len(outcomes) == len(lines)

    return check


def _time_expressions() -> Check:
    """Any question is read, and its times can be compared with any day."""
    said = [_NOW, datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)]

    def check(data: bytes) -> None:
        question = read_question(data.decode(errors="replace"), _NOW)
        assert all(0.0 <= question.time_share(when) <= 1.0 for when in said)
        question.mentioned(["Ann", "Bob Miller"])

    return check


def _filters() -> Check:
    """Any filter is refused, or becomes conditions beside that of the owner, which stands first."""
    read = TypeAdapter(Filter)
    owner, expiry = owner_of("tenant", "user"), Expiry(datetime(2026, 3, 1, tzinfo=UTC))

    def check(data: bytes) -> None:
        try:
            conditions = conditions_of(read.validate_json(data))
        except ValidationError:
            return
        first, *others = orjson.loads(orjson.dumps(owned(owner, expiry, conditions).json))["must"]
        assert first == {"key": "owner", "match": {"value": owner.name}}
        assert len(others) >= len(conditions)

    return check


_MESSAGE = {"user_id": "u", "text": "Coffee with Ann on 3 May at 9. And cake.", "metadata": {"a": 1}}
_EVENT = _MESSAGE | {
    "type": "message.recorded.v1",
    "tenant": "t",
    "message_id": "m",
    "occurred_at": "2026-01-01T00:00:00Z",
    "recorded_at": "2026-01-01T00:00:00Z",
}
_FILTER = {
    "after": "2026-01-01T00:00:00Z",
    "role": ["user", "assistant"],
    "speaker": "Ann",
    "metadata": {"a.b": [1, 2.5, True, "x"], 'quo"te': "y"},
}

TARGETS: Mapping[str, Target] = {
    "stream-decoder": Target(
        [
            json.dumps(_EVENT).encode(),
            b'{"type":"user.erased.v1","tenant":"t","user_id":"u","erasure_id":"e","erased_at":"2026-01-01T00:00:00Z"}',
        ],
        _stream_decoder,
    ),
    "batch-lines": Target([b"\x07" + json.dumps(_MESSAGE).encode() + b"\n\n{}\n[[", b"\x00\n"], _batch_lines),
    "time-expressions": Target(
        [
            b"What did Ann say on 3 May 2021, last week or two months ago?",
            "Was hat Jürgen letzten Dienstag gesagt?".encode(),
            "去年5月3日 Ann 说了什么？ 2020-02-30".encode(),
        ],
        _time_expressions,
    ),
    "filters": Target([json.dumps(_FILTER).encode(), b"{}"], _filters),
}
"""The targets by their names."""
