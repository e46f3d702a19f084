"""Records what Qdrant proposes for every question once, and ranks it again and again, by the code as it is now.

A recording has the candidates of each question, and of the same question asked as another user: those have no answer
there. Ranking them again takes seconds, where posting and embedding a set takes minutes. The order is that of
relevance; what the service may rearrange after that, by recency, diversity and updates, is no part of it.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from pydantic import HttpUrl, SecretStr

from benchmarks.quality.sets import Judged, JudgedSet
from memstream.contracts import ids
from memstream.contracts.searches import Mode
from memstream.contracts.stack import Stack
from memstream.retriever.asking.questions import read_question
from memstream.retriever.asking.speakers import unnamed
from memstream.retriever.ranking.ranking import Ranked, rank
from memstream.retriever.ranking.relevance import Calibration
from memstream.retriever.settings import RetrieverSettings
from memstream.runtime.clock import SystemClock
from memstream.streams.connections import connect
from memstream.vectors.collection import Collection
from memstream.vectors.composition import ServerSettings, connect_servers
from memstream.vectors.embeddings.metering import MeteredEmbeddings
from memstream.vectors.questions import Candidates, Question

TENANT = "local"
_TOGETHER = 32
_CANDIDATES: int = RetrieverSettings.model_fields["candidates"].default
_EVERYTHING = 10_000
_PATIENCE = 30.0
_NOW = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
"""When questions are asked: no set says."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A question as it was asked of a user, its own or another, and what was proposed."""

    question: Judged
    asked_as: str
    candidates: Candidates

    @property
    def own(self) -> bool:
        """Whether the user it was asked as is its own."""
        return self.asked_as == self.question.user_id


async def record(one: JudgedSet, stack: Stack, dimensions: int) -> list[Recorded]:
    """Ask every question, as its user and, where it has an answer and there are others, as another."""
    settings = ServerSettings(
        qdrant_url=HttpUrl(stack.qdrant_url),
        embeddings_url=HttpUrl(stack.embeddings_url),
        embeddings_api_key=SecretStr("none"),
        embeddings_model=stack.embedding_model,
        embeddings_dimensions=dimensions,
        embeddings_timeout=timedelta(seconds=_PATIENCE),
    )
    redis = connect(stack.redis_url, timeout=_PATIENCE)
    collection, embeddings = connect_servers(settings, redis, SystemClock())
    users = sorted({question.user_id for question in one.questions})
    speakers = {user: await collection.speakers(ids.owner(TENANT, user)) for user in users}
    found: list[Recorded] = []
    pairs = list(_asked(one.questions, users))
    try:
        for start in range(0, len(pairs), _TOGETHER):
            part = pairs[start : start + _TOGETHER]
            texts = [unnamed(question.question, speakers[user]) for question, user in part]
            found += await _ask(part, texts, collection, embeddings)
    finally:
        await embeddings.aclose()
        await collection.aclose()
        await redis.aclose()
    return found


def _asked(questions: Iterable[Judged], users: Sequence[str]) -> Iterator[tuple[Judged, str]]:
    chance = Random(1)  # noqa: S311 - which user is another, not a secret
    for question in questions:
        yield question, question.user_id
        others = [user for user in users if user != question.user_id]
        if question.evidence and others:
            yield question, chance.choice(others)


async def _ask(
    part: Sequence[tuple[Judged, str]], texts: Sequence[str], collection: Collection, embeddings: MeteredEmbeddings
) -> list[Recorded]:
    vectors = (await embeddings.embed(texts, "query", patience=_PATIENCE)).tolist()
    questions = [
        Question(ids.owner(TENANT, user), vector, question.question, None, _CANDIDATES)
        for (question, user), vector in zip(part, vectors, strict=True)
    ]
    return [
        Recorded(question, user, candidates)
        for (question, user), candidates in zip(part, await collection.ask(questions), strict=True)
    ]


def replay(recorded: Recorded, calibration: Calibration, mode: Mode = "hybrid") -> list[Ranked]:
    """Rank what was proposed, all of it."""
    asked = read_question(recorded.question.question, _NOW)
    return rank(recorded.candidates, mode, calibration, asked=asked, limit=_EVERYTHING)


def write(file: Path, model: str, recorded: Sequence[Recorded]) -> None:
    """Write a recording: each payload once, candidates by their numbers."""
    payloads: dict[str, Any] = {}
    questions = []
    for one in recorded:
        payloads.update(one.candidates.payloads)
        signals = {
            name: list((scores or {}).items())
            for name, scores in (("dense", one.candidates.dense), ("keyword", one.candidates.keyword))
        }
        question = one.question
        questions.append(
            {
                "user_id": question.user_id,
                "question": question.question,
                "category": question.category,
                "evidence": sorted(question.evidence),
                "asked_as": one.asked_as,
                "candidates": one.candidates.asked,
                **signals,
            }
        )
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"model": model, "payloads": payloads, "questions": questions}))


def model_of(file: Path) -> str:
    """Give the embedding model of a recording."""
    return str(json.loads(file.read_bytes())["model"])


def read(file: Path) -> list[Recorded]:
    """Read a recording."""
    content = json.loads(file.read_bytes())
    payloads = content["payloads"]
    recorded = []
    for row in content["questions"]:
        dense, keyword = dict(row["dense"]), dict(row["keyword"])
        candidates = Candidates(
            {point: payloads[point] for point in dense | keyword if point in payloads},
            dense,
            keyword,
            row["candidates"],
        )
        judged = Judged(row["user_id"], row["question"], row["category"], frozenset(row["evidence"]))
        recorded.append(Recorded(judged, row["asked_as"], candidates))
    return recorded
