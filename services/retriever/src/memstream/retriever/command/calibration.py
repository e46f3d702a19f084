"""`memstream calibrate`: fits the calibration of relevance to judged questions, through running services."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from memstream.client._memory import Memstream
from memstream.client._retries import Retries
from memstream.client.command.failure import Failure
from memstream.client.command.invocation import HomeOption
from memstream.client.command.services import Services, services_for
from memstream.contracts.searches import Mode, SearchOut
from memstream.retriever.command.judgements import MIN_QUESTIONS, JudgedQuestions, check_evidence, read_judgements
from memstream.retriever.ranking import (
    SCORES,
    Calibration,
    JudgedCandidates,
    LinearModel,
    Score,
    fit,
    read_calibrations,
    shipped_calibrations,
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
    answer from those that don't. At least 30 questions with evidence are needed, and hundreds are better; questions
    without evidence are skipped. A retriever reads the file at its start: MEMSTREAM_RETRIEVER_CALIBRATIONS names it,
    and --calibrations of `memstream up`.
    """
    judged = read_judgements(questions)
    existing = _existing(out)
    model, fitted = asyncio.run(_fit(services_for(context, home), questions, judged))
    size = dimensions or _shipped_dimensions(model)
    if size is None:
        raise Failure(f"the dimensions of {model} are not known: give --dimensions", exit_code=2)
    name = EmbeddingSpace(model, size).vector_name
    write_calibrations(out, existing | {name: Calibration(fitted["hybrid"], fitted["dense"], fitted["keyword"])})
    typer.echo(
        f"{name} is in {out}: restart the stack with --calibrations {out}, or the retriever with "
        "MEMSTREAM_RETRIEVER_CALIBRATIONS"
    )


def _shipped_dimensions(model: str) -> int | None:
    """Return the dimensions of a model that the retriever ships a calibration for."""
    for name in shipped_calibrations():
        dimensions = int(name.rsplit("_", 2)[1])
        if EmbeddingSpace(model, dimensions).vector_name == name:
            return dimensions
    return None


def _existing(out: Path) -> dict[str, Calibration]:
    """Return the calibrations in the file, and make sure that it can be written, before minutes of searches."""
    try:
        existing = read_calibrations(out, is_complete=False) if out.exists() else {}
    except ConfigurationError as error:
        raise Failure(str(error)) from error
    if not os.access(out if out.exists() else out.parent, os.W_OK):
        raise Failure(f"{out} can't be written")
    return existing


async def _fit(services: Services, file: Path, judged: JudgedQuestions) -> tuple[str, dict[Mode, LinearModel]]:
    """Return the embedding model and what was fitted for each mode."""
    fitted: dict[Mode, LinearModel] = {}
    model = ""
    async with services.memory(_RETRIES) as memory:
        check_evidence(file, judged, await _messages(memory, judged))
        for mode, scores in _SCORES.items():
            answers = await _ask(memory, judged, mode)
            model = answers[0].model
            try:
                fitted[mode] = fit(_questions(judged, answers), scores)
            except ValueError as error:
                raise Failure(f"mode {mode}: {error}") from error
            typer.echo(f"{mode}: {_formatted(fitted[mode])}")
    return model, fitted


async def _messages(memory: Memstream, judged: JudgedQuestions) -> dict[str, set[str]]:
    users = sorted({question.user_id for question in judged.values()})
    return {user: {message.message_id async for message in memory.messages(user)} for user in users}


async def _ask(memory: Memstream, judged: JudgedQuestions, mode: Mode) -> list[SearchOut]:
    limiter = asyncio.Semaphore(_CONCURRENT_SEARCHES)

    async def one(user: str, question: str) -> SearchOut:
        async with limiter:
            return await memory.search(user, question, mode=mode, limit=_HITS)

    answers = await asyncio.gather(*(one(question.user_id, question.question) for question in judged.values()))
    if sum(not answer.degraded for answer in answers) < MIN_QUESTIONS:
        raise Failure(
            f"mode {mode}: the searches were answered by keywords alone: the embeddings server does not answer"
        )
    return answers


def _questions(judged: JudgedQuestions, answers: Sequence[SearchOut]) -> list[JudgedCandidates]:
    return [
        JudgedCandidates(
            signals=[hit.signals for hit in answer.hits],
            is_evidence=[hit.message_id in question.evidence for hit in answer.hits],
        )
        for question, answer in zip(judged.values(), answers, strict=True)
        # A degraded answer has no dense scores to fit.
        if answer.hits and not answer.degraded
    ]


def _formatted(model: LinearModel) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in model.as_dict().items() if value)
