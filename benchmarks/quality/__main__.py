"""Measures how well the running services find the evidence of judged questions.

    python benchmarks/quality --data FOLDER [--sets locomo beam …] [--home DIR] [--mode hybrid] [--json FILE]
    python benchmarks/quality --data FOLDER --recordings DIR [--home DIR] [--ablation] [--fit FILE]
    python benchmarks/quality --data FOLDER --home DIR --context

The first posts the sets through ingest and asks through the retriever, as a client would. With `--recordings` the
candidates of every question are recorded once, and then ranked again and again by the code as it is, in seconds and
without services; `--fit` fits a calibration to them, and `--ablation` says what each signal brings, always on questions
of users that the coefficients were not fitted to. `--context` measures contexts instead of hits.

Without `--home` it runs a stack of its own. What it does not measure: what a chat model makes of the hits.
"""

import argparse
import asyncio
import json
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import replaying
from asking import ask, check_owner, post
from contexts import BUDGETS, evidence_within
from fitted import fit_calibration, print_ablation, print_held_back
from judging import Abstention, Replayed, abstention, abstention_of, error_of, judgements, replay_all
from metrics import Judgement, calibration_error
from reporting import print_abstention, print_set
from sets import Judged, JudgedSet, read_set

from memstream.contracts.searches import SearchOut
from memstream.contracts.stack import Stack
from memstream.retriever.calibrations import calibration_of, write_calibrations
from memstream.vectors.space import EmbeddingSpace

_START_SECONDS = 60.0
_DIMENSIONS = {"all-MiniLM-L6-v2": 384, "wordllama-256": 256}


async def main() -> None:
    """Run as the command line says, and print a table a set."""
    parser = argparse.ArgumentParser(prog="benchmarks/quality", description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds the sets' folders")
    parser.add_argument("--sets", nargs="+", default=["locomo", "beam", "scifact", "xquad"])
    parser.add_argument("--home", type=Path, help="of a running stack")
    parser.add_argument("--model", default="minilm", help="of a stack of its own")
    parser.add_argument("--mode", default="hybrid", choices=("hybrid", "dense", "keyword"))
    parser.add_argument("--posted", action="store_true", help="the sets are there already, don't post them")
    parser.add_argument("--recordings", type=Path, help="folder of recorded candidates; made when it lacks a set")
    parser.add_argument("--ablation", action="store_true", help="of the recordings: what each signal brings")
    parser.add_argument("--fit", type=Path, help="fit a calibration to the recordings, and write it there")
    parser.add_argument("--context", action="store_true", help="measure contexts, not hits")
    parser.add_argument("--json", type=Path, help="write all figures there")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        sets = [read_set(arguments.data / name, Path(work)) for name in arguments.sets]
        report = await _report(sets, arguments)
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1, default=asdict))


async def _report(sets: Sequence[JudgedSet], arguments: argparse.Namespace) -> dict[str, Any]:
    recordings = arguments.recordings
    if recordings and all((recordings / f"{one.name}.json").exists() for one in sets):
        return _replayed(sets, arguments)
    if arguments.home:
        return await _measure(sets, arguments.home, arguments)
    with tempfile.TemporaryDirectory() as folder:
        process = await _start(Path(folder), arguments.model)
        try:
            return await _measure(sets, Path(folder), arguments)
        finally:
            process.send_signal(signal.SIGTERM)
            await process.wait()


async def _start(home: Path, model: str) -> asyncio.subprocess.Process:
    command = str(Path(sys.executable).with_name("memstream"))
    process = await asyncio.create_subprocess_exec(
        *(command, "up", "--home", str(home), "--model", model, "--port-base", "18800"),
        stdout=asyncio.subprocess.DEVNULL,
    )
    async with asyncio.timeout(_START_SECONDS):
        while not (home / "stack.json").exists():
            if process.returncode is not None:
                raise SystemExit("the stack did not start")
            await asyncio.sleep(0.1)
    return process


async def _measure(sets: Sequence[JudgedSet], home: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Post, and ask what the command line says."""
    stack = Stack.model_validate_json((home / "stack.json").read_bytes())
    report: dict[str, Any] = {"model": stack.embedding_model, "mode": arguments.mode, "sets": {}}
    for one in sets:
        if not arguments.posted:
            await post(one, home)
        if arguments.recordings:
            arguments.recordings.mkdir(parents=True, exist_ok=True)
            recorded = await replaying.record(one, stack, _DIMENSIONS[stack.embedding_model])
            replaying.write(arguments.recordings / f"{one.name}.json", stack.embedding_model, recorded)
        elif arguments.context:
            report["sets"][one.name] = await _contexts(one, stack)
        else:
            report["sets"][one.name] = await _searches(one, stack, arguments.mode)
    return _replayed(sets, arguments) if arguments.recordings else report


async def _searches(one: JudgedSet, stack: Stack, mode: str) -> dict[str, Any]:
    """Ask through the service: every question as its user, and those that have an answer as another one too."""
    owners = one.owners()
    answers = await ask([(question, question.user_id) for question in one.questions], stack, mode=mode)
    judged = []
    relevances: list[float] = []
    labels: list[bool] = []
    for question, answer in zip(one.questions, answers, strict=True):
        check_owner(question.user_id, answer.hits, owners)
        hits = [hit.message_id in question.evidence for hit in answer.hits]
        if question.evidence:
            judged.append(Judgement(question.category, hits, len(question.evidence)))
            relevances += [hit.relevance for hit in answer.hits]
            labels += hits
    error = calibration_error(np.array(relevances), np.array(labels, bool))
    table = print_set(one.name, judged, error, [answer.took_ms for answer in answers])
    told = await _abstention(one, answers, stack, mode)
    if told:
        print_abstention(told)
    return {**table, "abstention": told}


async def _abstention(one: JudgedSet, answers: Sequence[SearchOut], stack: Stack, mode: str) -> Abstention | None:
    users = sorted({question.user_id for question in one.questions})
    chance = Random(1)  # noqa: S311 - which user is another, not a secret
    asked: list[tuple[Judged, str]] = [
        (question, chance.choice([user for user in users if user != question.user_id]))
        for question in one.questions
        if question.evidence and len(users) > 1
    ]
    others = await ask(asked, stack, mode=mode)
    by_kind = [
        [_best(answer) for question, answer in zip(one.questions, answers, strict=True) if question.evidence],
        [_best(answer) for answer in others],
        [_best(answer) for question, answer in zip(one.questions, answers, strict=True) if not question.evidence],
    ]
    return abstention_of(*by_kind)


def _best(answer: SearchOut) -> tuple[float, float]:
    """Give the best hit's relevance, and the best cosine; a cosine's least without hits."""
    return (
        max((hit.relevance for hit in answer.hits), default=0.0),
        max((hit.signals.get("dense", -1.0) for hit in answer.hits), default=-1.0),
    )


async def _contexts(one: JudgedSet, stack: Stack) -> dict[str, Any]:
    questions = [question for question in one.questions if question.evidence]
    print(f"\n{one.name}: {len(questions)} questions; share of the evidence in a context")
    table = {}
    for label, least in (("as it comes", None), ("never abstaining", 0.0)):
        for budget in BUDGETS:
            recall, abstained, tokens = await evidence_within(questions, stack, budget, least)
            table[f"{label}, {budget}"] = {"recall": recall, "abstained": abstained, "tokens": tokens}
            print(f"  {label:18} within {budget:5} tokens: {100 * recall:5.1f}%, {100 * abstained:4.1f}% abstentions, "
                  f"{tokens:6.0f} tokens used")  # fmt: skip
    return table


def _replayed(sets: Sequence[JudgedSet], arguments: argparse.Namespace) -> dict[str, Any]:
    files = [arguments.recordings / f"{one.name}.json" for one in sets]
    model = replaying.model_of(files[0])
    recordings = {one.name: replaying.read(file) for one, file in zip(sets, files, strict=True)}
    space = EmbeddingSpace(model, _DIMENSIONS[model])
    calibration = calibration_of(space.vector_name)
    report: dict[str, Any] = {"model": model, "mode": arguments.mode, "sets": {}}
    if arguments.fit:
        calibration = fit_calibration(recordings, calibration)
        write_calibrations(arguments.fit, {space.vector_name: calibration})
        print("fitted:", arguments.fit.read_text())
    for name, replayed in replay_all(recordings, calibration, arguments.mode).items():
        report["sets"][name] = _replayed_set(name, replayed)
    report["held_back"] = print_held_back(recordings, calibration)
    if arguments.ablation:
        report["ablation"] = print_ablation(recordings, calibration)
    return report


def _replayed_set(name: str, replayed: Sequence[Replayed]) -> dict[str, Any]:
    judged = list(judgements([(one, np.array([hit.relevance for hit in one.ranked])) for one in replayed]))
    table = print_set(name, judged, error_of(replayed))
    told = abstention(replayed)
    if told:
        print_abstention(told)
    return {**table, "abstention": told}


if __name__ == "__main__":
    asyncio.run(main())
