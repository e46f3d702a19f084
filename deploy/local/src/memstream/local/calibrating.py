"""`memstream calibrate`: fits what a relevance means to judged questions of one's own."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel, Field, ValidationError

from memstream.client._retries import Retries
from memstream.client.command.failure import Failure
from memstream.client.command.invocation import HomeOption
from memstream.client.command.services import Services, services_for
from memstream.contracts.searches import Mode, SearchOut
from memstream.retriever.calibrations import read_calibrations, write_calibrations
from memstream.retriever.fitting import SCORES, Question, coefficients, fit
from memstream.retriever.relevance import Calibration, Linear, Signals
from memstream.runtime.errors import ConfigurationError
from memstream.vectors.space import EmbeddingSpace

_RETRIES = Retries(deadline=60.0, unreachable=5.0)
_HITS = 50
_AT_ONCE = 4
_FEWEST = 30
_DIMENSIONS = {"all-MiniLM-L6-v2": 384, "wordllama-256": 256}
_SIGNALS = {field.name for field in fields(Signals)}
_SCORES: Mapping[Mode, Sequence[str]] = {"hybrid": SCORES, "dense": ("dense",), "keyword": ("keyword",)}


class JudgedQuestion(BaseModel):
    """A line of the file."""

    user_id: str = Field(min_length=1)
    question: str = Field(min_length=1)
    evidence: frozenset[str] = Field(min_length=1)
    """Ids of the messages that answer it."""


def calibrate(
    context: typer.Context,
    questions: Annotated[Path, typer.Argument(help="JSON lines with user_id, question, and evidence: message ids.")],
    out: Annotated[Path, typer.Argument(help="The file to write; other spaces' calibrations in it are kept.")],
    *,
    dimensions: Annotated[int | None, typer.Option(help="Of the embedding model, as the services have it.")] = None,
    home: HomeOption = None,
) -> None:
    """Fit the relevance to judged questions, asked of the running services.

    The retriever reads the file that MEMSTREAM_RETRIEVER_CALIBRATIONS names when it starts.
    """
    judged = read_judged(questions)
    try:
        known = read_calibrations(out) if out.exists() else {}
    except ConfigurationError as error:
        raise Failure(str(error)) from error
    services = services_for(context, home)
    lines = {}
    model = ""
    for mode in _SCORES:
        answers = asyncio.run(_ask(services, judged, mode))
        model = answers[0].model
        try:
            lines[mode] = fit(_compared(judged, answers), _SCORES[mode])
        except ValueError as error:
            raise Failure(f"mode {mode}: {error}") from error
        typer.echo(f"{mode}: {_written(lines[mode])}")
    size = dimensions or _DIMENSIONS.get(model)
    if size is None:
        raise Failure(f"say how many dimensions {model} has: --dimensions")
    name = EmbeddingSpace(model, size).vector_name
    write_calibrations(out, known | {name: Calibration(lines["hybrid"], lines["dense"], lines["keyword"])})
    typer.echo(f"{name} is in {out}: set MEMSTREAM_RETRIEVER_CALIBRATIONS to it, and start the retriever anew")


def read_judged(file: Path) -> list[JudgedQuestion]:
    """Read judged questions; blank lines, and questions without evidence, are passed over.

    Raises:
        Failure: a line is none, or there are too few.

    """
    judged = []
    for number, line in enumerate(file.read_bytes().splitlines(), 1):
        if not line.strip():
            continue
        try:
            judged.append(JudgedQuestion.model_validate_json(line))
        except ValidationError as error:
            fault = error.errors()[0]
            if fault["type"] == "too_short" and fault["loc"] == ("evidence",):
                continue
            place = ".".join(map(str, fault["loc"])) or "the line"
            raise Failure(f"{file}, line {number}: {place}: {fault['msg']}") from error
    if len(judged) < _FEWEST:
        raise Failure(f"{file} has {len(judged)} questions with evidence; less than {_FEWEST} say too little")
    return judged


async def _ask(services: Services, judged: Sequence[JudgedQuestion], mode: Mode) -> list[SearchOut]:
    gate = asyncio.Semaphore(_AT_ONCE)
    async with services.memory(_RETRIES) as memory:

        async def one(question: JudgedQuestion) -> SearchOut:
            async with gate:
                return await memory.search(question.user_id, question.question, mode=mode, limit=_HITS)

        return list(await asyncio.gather(*(one(question) for question in judged)))


def _compared(judged: Sequence[JudgedQuestion], answers: Sequence[SearchOut]) -> list[Question]:
    return [
        Question(
            signals=[_signals(hit.signals) for hit in answer.hits],
            evidence=[hit.message_id in question.evidence for hit in answer.hits],
        )
        for question, answer in zip(judged, answers, strict=True)
        # What was answered without vectors says nothing of them.
        if answer.hits and not answer.degraded
    ]


def _signals(named: Mapping[str, float]) -> Signals:
    known = {name: value for name, value in named.items() if name in _SIGNALS}
    chunks = int(known.pop("chunks", 1))
    return replace(Signals(**known), chunks=chunks)  # type: ignore[arg-type] # every signal but the chunks is a float


def _written(line: Linear) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in coefficients(line).items())
