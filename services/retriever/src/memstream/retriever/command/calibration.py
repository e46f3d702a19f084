"""`memstream calibrate`: fits the calibration of relevance to judged questions, through running services."""

import asyncio
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from memstream.client._memory import Memstream
from memstream.client._retries import Retries
from memstream.client.command.failure import Failure
from memstream.client.command.invocation import HomeOption
from memstream.client.command.services import Services, services_for
from memstream.contracts.searches import Mode, SearchOut
from memstream.retriever.command.judgements import (
    MIN_QUESTIONS,
    JudgedQuestion,
    JudgedQuestions,
    check_evidence,
    read_judgements,
)
from memstream.retriever.ranking import (
    SCORES,
    Calibration,
    CosineScale,
    JudgedCandidates,
    RankingModel,
    Score,
    fit,
    read_calibrations,
    scale_of,
    shipped_spaces,
    write_calibrations,
)
from memstream.runtime.errors import ConfigurationError
from memstream.vectors.space import EmbeddingSpace

_RETRIES = Retries(deadline=60.0, unreachable=5.0)
_HITS = 50
_CONCURRENT_SEARCHES = 4
_SCORES: Mapping[Mode, Sequence[Score]] = {"hybrid": SCORES, "dense": ("dense",), "keyword": ("keyword",)}


def calibrate(
    context: typer.Context,
    questions: Annotated[
        Path,
        typer.Argument(
            metavar="QUESTIONS",
            help="JSON lines, one question each: user_id, question, and evidence, a list of message ids.",
        ),
    ],
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="The file to write; calibrations of other models in it are kept.")
    ],
    *,
    dimensions: Annotated[
        int | None,
        typer.Option(
            min=1, help="Dimensions of the embedding model. [default: known for the models of the local stack]"
        ),
    ] = None,
    home: HomeOption = None,
) -> None:
    """Fit relevance to judged questions of your own.

    Asks the questions of the running services, each as its user, and fits which signals distinguish the messages that
    answer from those that don't. At least 30 questions with evidence are needed, and hundreds are better. Questions
    without evidence have no answer; each question is also asked as another user of the file, as one without an answer.
    A retriever reads the file at its start: MEMSTREAM_RETRIEVER_CALIBRATIONS names it, and --calibrations of
    `memstream up`.
    """
    judged = read_judgements(questions)
    existing = _existing(out)
    model, answers = asyncio.run(_asked(services_for(context, home), questions, judged))
    size = dimensions or _shipped_dimensions(model)
    if size is None:
        raise Failure(f"the dimensions of {model} are not known: give --dimensions", exit_code=2)
    name = EmbeddingSpace(model, size).vector_name
    scale = scale_of(name)
    fitted = {mode: _fitted(mode, asked, scale) for mode, asked in answers.items()}
    calibration = Calibration(fitted["hybrid"], fitted["dense"], fitted["keyword"], scale)
    write_calibrations(out, existing | {name: calibration})
    typer.echo(
        f"{name} is in {out}: restart the stack with --calibrations {out}, or the retriever with "
        "MEMSTREAM_RETRIEVER_CALIBRATIONS"
    )


def _shipped_dimensions(model: str) -> int | None:
    """Return the dimensions of a model of which the retriever ships what its cosines mean."""
    for name in shipped_spaces():
        dimensions = int(name.rsplit("_", 2)[1])
        if EmbeddingSpace(model, dimensions).vector_name == name:
            return dimensions
    return None


def _existing(out: Path) -> dict[str, Calibration]:
    """Return the calibrations in the file, and make sure that it can be written, before minutes of searches."""
    try:
        existing = read_calibrations(out) if out.exists() else {}
    except ConfigurationError as error:
        raise Failure(str(error)) from error
    if not os.access(out if out.exists() else out.parent, os.W_OK):
        raise Failure(f"{out} can't be written")
    return existing


_Asked = tuple[str, JudgedQuestion]
"""A user, and a question that it is asked as."""


async def _asked(
    services: Services, file: Path, judged: JudgedQuestions
) -> tuple[str, dict[Mode, list[JudgedCandidates]]]:
    """Return the embedding model, and for each mode what the questions found."""
    found: dict[Mode, list[JudgedCandidates]] = {}
    model = ""
    plan = [*((question.user_id, question) for question in judged.values()), *_as_others(judged)]
    async with services.memory(_RETRIES) as memory:
        check_evidence(file, judged, await _messages(memory, judged))
        for mode in _SCORES:
            answers = await _ask(memory, plan, mode)
            model = answers[0].model
            found[mode] = _questions(plan, answers)
            typer.echo(f"{mode}: {len(found[mode])} questions asked")
    return model, found


def _as_others(judged: JudgedQuestions) -> Iterator[_Asked]:
    """Yield each question that has an answer with another user of the file: the next one by name."""
    users = sorted({question.user_id for question in judged.values()})
    for question in judged.values():
        other = users[(users.index(question.user_id) + 1) % len(users)]
        if question.evidence and other != question.user_id:
            yield other, question


def _fitted(mode: Mode, questions: Sequence[JudgedCandidates], scale: CosineScale) -> RankingModel:
    try:
        model = fit(questions, _SCORES[mode], scale=scale)
    except ValueError as error:
        raise Failure(f"mode {mode}: {error}") from error
    values = {**model.order, **model.relevance}
    typer.echo(f"{mode}: {', '.join(f'{name} {value:g}' for name, value in values.items() if value)}")
    return model


async def _messages(memory: Memstream, judged: JudgedQuestions) -> dict[str, set[str]]:
    users = sorted({question.user_id for question in judged.values()})
    return {user: {message.message_id async for message in memory.messages(user)} for user in users}


async def _ask(memory: Memstream, plan: Sequence[_Asked], mode: Mode) -> list[SearchOut]:
    limiter = asyncio.Semaphore(_CONCURRENT_SEARCHES)

    async def one(user: str, question: str) -> SearchOut:
        async with limiter:
            return await memory.search(user, question, mode=mode, limit=_HITS)

    answers = await asyncio.gather(*(one(user, question.question) for user, question in plan))
    if sum(not answer.degraded for answer in answers) < MIN_QUESTIONS:
        raise Failure(
            f"mode {mode}: the searches were answered by keywords alone: the embeddings server does not answer"
        )
    return answers


def _questions(plan: Sequence[_Asked], answers: Sequence[SearchOut]) -> list[JudgedCandidates]:
    return [
        JudgedCandidates(
            signals=[hit.signals for hit in answer.hits],
            is_evidence=[user == question.user_id and hit.message_id in question.evidence for hit in answer.hits],
            is_answerable=user == question.user_id and bool(question.evidence),
        )
        for (user, question), answer in zip(plan, answers, strict=True)
        # A degraded answer has no dense scores to fit.
        if answer.hits and not answer.degraded
    ]
