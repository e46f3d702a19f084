"""Records the candidates of every question once, and ranks them again and again, by the code as it is now.

A recording has the candidates of each question, and of the same question asked as another user, for whom it has no
answer; also with the names of that user's speakers put in. Ranking them again takes seconds, where posting and
embedding a set takes minutes. The order is that of relevance; what the service may change after that, by recency,
diversity and updates, is not part of it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import msgspec
from pydantic import HttpUrl, SecretStr

from benchmarks.quality.sets import Judged, JudgedSet
from benchmarks.quality.strangers import Asked, asked_as_strangers
from memstream.contracts.searches import Mode
from memstream.contracts.stack import Stack
from memstream.retriever.asking import read_question, strip_speaker_names
from memstream.retriever.ranking import Calibration, RankedMessage, rank
from memstream.retriever.settings import RetrieverSettings
from memstream.runtime.clock import SystemClock
from memstream.streams.connections import connect
from memstream.streams.tenant_policies import TenantPolicies
from memstream.vectors.composition import ServerSettings, open_embeddings, open_store
from memstream.vectors.embeddings import MeteredEmbeddings
from memstream.vectors.store import CandidateQuery, Candidates, MemoryStore, StoredMessage, owner_of

TENANT = "local"
_BATCH = 32
_CANDIDATES: int = RetrieverSettings.model_fields["candidates"].default
_NO_LIMIT = 10_000
_PATIENCE = 30.0
_NOW = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
"""When questions are asked: no set says."""


class UnreadableRecordingError(Exception):
    """A file is no recording, or one of another version of this benchmark."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A question as it was asked of a user, its own or another, and what was proposed."""

    question: Judged
    asked_as: str
    candidates: Candidates
    swapped: bool = False
    """Whether it has the names of the other user's speakers."""

    @property
    def own(self) -> bool:
        """Whether the user it was asked as is its own."""
        return self.asked_as == self.question.user_id


async def record(one: JudgedSet, stack: Stack, dimensions: int) -> list[Recorded]:
    """Ask every question, as its user and, where it has an answer and there are others, as another."""
    settings = ServerSettings(
        qdrant_url=HttpUrl(stack.qdrant_url),
        qdrant_api_key=SecretStr(stack.qdrant_api_key or ""),
        embeddings_url=HttpUrl(stack.embeddings_url),
        embeddings_api_key=SecretStr(stack.embeddings_api_key or "none"),
        embeddings_model=stack.embedding_model,
        embeddings_dimensions=dimensions,
        embeddings_timeout=timedelta(seconds=_PATIENCE),
    )
    redis = connect(stack.redis_url, timeout=_PATIENCE)
    clock = SystemClock()
    store, embeddings = (
        open_store(settings, redis, TenantPolicies(redis, clock), clock),
        open_embeddings(settings, redis, clock),
    )
    users = sorted({question.user_id for question in one.questions})
    found: list[Recorded] = []
    asked = [Asked(question, question.user_id) for question in one.questions]
    asked += asked_as_strangers(one, Random(1))  # noqa: S311 - which user is another, not a secret
    try:
        speakers = {user: await store.speakers(owner_of(TENANT, user)) for user in users}
        for start in range(0, len(asked), _BATCH):
            part = asked[start : start + _BATCH]
            texts = [strip_speaker_names(each.question.question, speakers[each.user]) for each in part]
            found += await _ask(part, texts, store, embeddings)
    finally:
        await embeddings.aclose()
        await store.aclose()
        await redis.aclose()
    return found


async def _ask(
    part: Sequence[Asked], texts: Sequence[str], store: MemoryStore, embeddings: MeteredEmbeddings
) -> list[Recorded]:
    vectors = await embeddings.embed(texts, "query", input_type="query", max_wait_seconds=_PATIENCE)
    queries = [
        CandidateQuery(owner_of(TENANT, each.user), vector, each.question.question, _CANDIDATES)
        for each, vector in zip(part, vectors, strict=True)
    ]
    return [
        Recorded(each.question, each.user, candidates, each.swapped)
        for each, candidates in zip(part, await store.propose(queries), strict=True)
    ]


def replay(recorded: Recorded, calibration: Calibration, mode: Mode = "hybrid") -> list[RankedMessage]:
    """Return all recorded candidates, ranked."""
    question = read_question(recorded.question.question, _NOW)
    return rank(recorded.candidates, mode, calibration, question=question, limit=_NO_LIMIT)


def write(file: Path, model: str, recorded: Sequence[Recorded]) -> None:
    """Write a recording: each message once, candidates by their ids."""
    messages: dict[str, Any] = {}
    questions = []
    for one in recorded:
        messages.update({point: msgspec.to_builtins(message) for point, message in one.candidates.messages.items()})
        scores = {
            name: list((by_point or {}).items())
            for name, by_point in (("dense", one.candidates.dense), ("keyword", one.candidates.keyword))
        }
        question = one.question
        questions.append(
            {
                "user_id": question.user_id,
                "question": question.question,
                "category": question.category,
                "evidence": sorted(question.evidence),
                "asked_as": one.asked_as,
                "swapped": one.swapped,
                "limit": one.candidates.limit,
                **scores,
            }
        )
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"model": model, "messages": messages, "questions": questions}))


def model_of(file: Path) -> str:
    """Return the embedding model of a recording.

    Raises:
        UnreadableRecordingError: the file is no recording of this version.

    """
    return str(_read(file)["model"])


def read(file: Path) -> list[Recorded]:
    """Return a recording.

    Raises:
        UnreadableRecordingError: the file is no recording of this version.

    """
    content = _read(file)
    try:
        messages = {point: StoredMessage.read(fields) for point, fields in content["messages"].items()}
        return [_recorded(row, messages) for row in content["questions"]]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise _unreadable(file) from error


def _read(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_bytes())
    except ValueError as error:
        raise _unreadable(file) from error
    if not isinstance(content, dict) or not {"model", "messages", "questions"} <= content.keys():
        raise _unreadable(file)
    return content


def _unreadable(file: Path) -> UnreadableRecordingError:
    return UnreadableRecordingError(
        f"{file} was not recorded by this version of the benchmark: delete it, and it is recorded again"
    )


def _recorded(row: dict[str, Any], messages: dict[str, StoredMessage]) -> Recorded:
    dense, keyword = dict(row["dense"]), dict(row["keyword"])
    candidates = Candidates(
        {point: messages[point] for point in dense | keyword if point in messages}, dense, keyword, row["limit"]
    )
    judged = Judged(row["user_id"], row["question"], row["category"], frozenset(row["evidence"]))
    return Recorded(judged, row["asked_as"], candidates, row.get("swapped", False))
