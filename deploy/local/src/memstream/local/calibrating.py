"""`memstream calibrate`: fits what a relevance means to judged questions of one's own."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated

import typer

from memstream.client._memory import Memstream
from memstream.client._retries import Retries
from memstream.client.command.failure import Failure
from memstream.client.command.invocation import HomeOption
from memstream.client.command.services import Services, services_for
from memstream.contracts.searches import Mode, SearchOut
from memstream.local.judged import FEWEST, Judged, check_evidence, read_judged
from memstream.local.stack.plan import MODELS
from memstream.retriever.ranking.calibrations import read_calibrations, write_calibrations
from memstream.retriever.ranking.fitting import SCORES, Question, coefficients, fit
from memstream.retriever.ranking.relevance import Calibration, Linear, Signals
from memstream.runtime.errors import ConfigurationError
from memstream.vectors.space import EmbeddingSpace

_RETRIES = Retries(deadline=60.0, unreachable=5.0)
_HITS = 50
_AT_ONCE = 4
_DIMENSIONS = {model.id: model.dimensions for model in MODELS.values()}
_SIGNALS = {field.name for field in fields(Signals)}
_SCORES: Mapping[Mode, Sequence[str]] = {"hybrid": SCORES, "dense": ("dense",), "keyword": ("keyword",)}


def calibrate(
    context: typer.Context,
    questions: Annotated[
        Path,
        typer.Argument(
            metavar="QUESTIONS", help="JSON lines, a question each: user_id, question, and evidence, message ids."
        ),
    ],
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="The file to write; what it has for other models is kept.")
    ],
    *,
    dimensions: Annotated[
        int | None, typer.Option(min=1, help="Of the embedding model's vectors; known of the embedded stack's models.")
    ] = None,
    home: HomeOption = None,
) -> None:
    """Fit relevance to judged questions of your own.

    It asks them of the running services, each as its user, and finds out which signals tell the messages that answer
    from the others. At least 30 questions with evidence are needed, and hundreds are better; those without any are
    passed over. A retriever reads the file when it starts: `memstream up` takes it as --calibrations, one by itself as
    MEMSTREAM_RETRIEVER_CALIBRATIONS.
    """
    judged = read_judged(questions)
    known = _known(out)
    model, lines = asyncio.run(_fit(services_for(context, home), questions, judged))
    size = dimensions or _DIMENSIONS.get(model)
    if size is None:
        raise Failure(f"say how many dimensions {model} has: --dimensions", exit_code=2)
    name = EmbeddingSpace(model, size).vector_name
    write_calibrations(out, known | {name: Calibration(lines["hybrid"], lines["dense"], lines["keyword"])})
    typer.echo(
        f"{name} is in {out}: start the stack anew with --calibrations {out}, or the retriever with "
        "MEMSTREAM_RETRIEVER_CALIBRATIONS"
    )


def _known(out: Path) -> dict[str, Calibration]:
    """Read what is there already, and see that it can be written, before minutes of asking."""
    try:
        known = read_calibrations(out) if out.exists() else {}
    except ConfigurationError as error:
        raise Failure(str(error)) from error
    if not os.access(out if out.exists() else out.parent, os.W_OK):
        raise Failure(f"{out} can't be written")
    return known


async def _fit(services: Services, file: Path, judged: Judged) -> tuple[str, dict[Mode, Linear]]:
    """Give the embedding model, and a line for each mode."""
    lines: dict[Mode, Linear] = {}
    model = ""
    async with services.memory(_RETRIES) as memory:
        check_evidence(file, judged, await _messages(memory, judged))
        for mode, scores in _SCORES.items():
            answers = await _ask(memory, judged, mode)
            model = answers[0].model
            try:
                lines[mode] = fit(_compared(judged, answers), scores)
            except ValueError as error:
                raise Failure(f"mode {mode}: {error}") from error
            typer.echo(f"{mode}: {_written(lines[mode])}")
    return model, lines


async def _messages(memory: Memstream, judged: Judged) -> dict[str, set[str]]:
    users = sorted({question.user_id for question in judged.values()})
    return {user: {message.message_id async for message in memory.messages(user)} for user in users}


async def _ask(memory: Memstream, judged: Judged, mode: Mode) -> list[SearchOut]:
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(user: str, question: str) -> SearchOut:
        async with gate:
            return await memory.search(user, question, mode=mode, limit=_HITS)

    answers = await asyncio.gather(*(one(question.user_id, question.question) for question in judged.values()))
    if sum(not answer.degraded for answer in answers) < FEWEST:
        raise Failure(f"mode {mode}: the questions were answered by words alone, so the embeddings server is missing")
    return answers


def _compared(judged: Judged, answers: Sequence[SearchOut]) -> list[Question]:
    return [
        Question(
            signals=[signals_of(hit.signals) for hit in answer.hits],
            evidence=[hit.message_id in question.evidence for hit in answer.hits],
        )
        for question, answer in zip(judged.values(), answers, strict=True)
        # What was answered without vectors says nothing of them.
        if answer.hits and not answer.degraded
    ]


def signals_of(named: Mapping[str, float]) -> Signals:
    """Read back what an answer tells of a hit, as far as it is known."""
    known = {name: value for name, value in named.items() if name in _SIGNALS}
    chunks = int(known.pop("chunks", 1))
    return replace(Signals(**known), chunks=chunks)  # type: ignore[arg-type] # every signal but the chunks is a float


def _written(line: Linear) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in coefficients(line).items())
