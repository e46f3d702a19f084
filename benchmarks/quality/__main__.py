"""Measures how well the running services find the evidence of judged questions.

    python -m benchmarks.quality --data FOLDER [--sets locomo beam …] [--keep DIR | --home DIR] [--mode hybrid]
    python -m benchmarks.quality --data FOLDER --full --keep DIR [--report docs/quality.md]
    python -m benchmarks.quality --data FOLDER --recordings DIR [--home DIR] [--fit FILE | --ship FILE]
    python -m benchmarks.quality --data FOLDER --recordings DIR [--home DIR] --left-out [--ablation] [--mode dense]
    python -m benchmarks.quality --data FOLDER --home DIR --context
    python -m benchmarks.quality --data FOLDER --keep DIR --rerank-url URL --rerank-model MODEL

The first posts the sets through ingest and asks through the retriever, as a client would. It runs a stack of its own,
unless `--home` says where one is; with `--keep` that stays in a folder, and what was embedded once is not embedded
again: the second run takes minutes.

With `--recordings` the candidates of every question are recorded once, and then ranked again and again by the code as
it is, in seconds and without services; everyday cases are one more set there. `--left-out` judges every set by
coefficients that were fitted to the other collections alone, with `--ablation` also without each feature. `--fit` fits
a calibration to all of them, as `memstream calibrate` does; `--ship` fits what the retriever ships, for every embedding
space. `--context` measures contexts instead of hits. `--full` does all of this but the fits, and `--report` writes it
down. What it does not measure, the report says.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.quality import measuring, replaying
from benchmarks.quality.asking import post
from benchmarks.quality.everyday.cases import read_cases
from benchmarks.quality.everyday.exporting import write_set
from benchmarks.quality.everyday.running import What
from benchmarks.quality.everyday.running import measure as measure_everyday
from benchmarks.quality.everyday.surroundings import SHAPES, place_all
from benchmarks.quality.fitted import fit_calibration
from benchmarks.quality.installation import installed
from benchmarks.quality.judging import (
    MODES,
    Ranked,
    Recordings,
    abstention,
    calibration_of_ranked,
    judgements,
    rank_by,
    replay_all,
)
from benchmarks.quality.left_out import LEFT_OUT, print_left_out
from benchmarks.quality.rendering import place_of, render
from benchmarks.quality.reporting import print_abstention, print_set
from benchmarks.quality.sets import DEFAULT_SETS, EVERYDAY, JudgedSet, read_set
from memstream.contracts.stack import Stack
from memstream.retriever.ranking import (
    Calibration,
    calibration_of,
    read_calibrations,
    scale_of,
    write_calibrations,
    write_shipped,
)
from memstream.runtime.clock import SystemClock
from memstream.vectors.space import EmbeddingSpace

_EVERYDAY_SIZES = (0, 20, 200)
"""How many unrelated messages are around the cases of the set that is made of them."""
_DIMENSIONS = {"all-MiniLM-L6-v2": 384, "wordllama-256": 256}


async def main() -> None:
    """Run as the command line says, and print a table a set."""
    parser = argparse.ArgumentParser(prog="benchmarks.quality", description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds the sets' folders")
    parser.add_argument(
        "--sets",
        nargs="+",
        help=f"folders [{' '.join(DEFAULT_SETS)}; with --full or --recordings also {EVERYDAY}, made if it is missing]",
    )
    parser.add_argument("--home", type=Path, help="of a running stack")
    parser.add_argument("--keep", type=Path, help="the folder where a stack of its own, and its recordings, stay")
    parser.add_argument("--first-port", type=int, default=18_800, help="of a stack of its own [%(default)s]")
    parser.add_argument("--model", default="minilm", help="of a stack of its own")
    parser.add_argument("--rerank-url", help="of a rerank server that a stack of its own uses")
    parser.add_argument("--rerank-model", help="of that server")
    parser.add_argument("--mode", default="hybrid", choices=MODES)
    parser.add_argument("--posted", action="store_true", help="the sets are there already, don't post them")
    parser.add_argument("--recordings", type=Path, help="folder of recorded candidates; made when it lacks a set")
    parser.add_argument("--ablation", action="store_true", help="of what is left out: what each feature adds")
    parser.add_argument("--left-out", action="store_true", help="of the recordings: each set by a fit to the others")
    parser.add_argument("--fit", type=Path, help="fit a calibration to the recordings, and write it into this file")
    parser.add_argument("--ship", type=Path, help="fit to the recordings, and write the retriever's coefficients.json")
    parser.add_argument("--context", action="store_true", help="measure contexts, not hits")
    parser.add_argument("--full", action="store_true", help="measure everything")
    parser.add_argument(
        "--at-most", type=int, default=400, help="questions of a set for contexts, and for modes besides [%(default)s]"
    )
    parser.add_argument("--seed", type=int, default=1, help="of what is drawn [%(default)s]")
    parser.add_argument("--json", type=Path, help="write all figures there")
    parser.add_argument("--report", type=Path, help="write what `--full` measured there, as Markdown")
    arguments = parser.parse_args()
    if arguments.sets is None:
        arguments.sets = [*DEFAULT_SETS, EVERYDAY] if arguments.full or arguments.recordings else [*DEFAULT_SETS]
    if arguments.report and not arguments.full:
        parser.error("--report is of what --full measures")
    if arguments.left_out and (arguments.recordings is None or len(arguments.sets) == 1):
        parser.error("--left-out takes --recordings of two sets or more")
    if arguments.rerank_url and arguments.home:
        parser.error("--rerank-url is of a stack of its own")
    place = place_of(SystemClock().now(), arguments.seed)
    with tempfile.TemporaryDirectory() as work:
        sets = [_read(arguments.data / name, Path(work), arguments.seed) for name in arguments.sets]
        try:
            measured = await _report(sets, arguments)
        except replaying.UnreadableRecordingError as error:
            parser.error(str(error))
        report = json.loads(json.dumps({"place": place, **measured}, default=asdict))
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")
    if arguments.report:
        arguments.report.write_text(render(report))


def _read(folder: Path, work: Path, seed: int) -> JudgedSet:
    if folder.name == EVERYDAY and not folder.exists():
        folder = work / EVERYDAY
        write_set(place_all(read_cases(), _EVERYDAY_SIZES, tuple(SHAPES), seed), folder)
    return read_set(folder, work)


async def _report(sets: Sequence[JudgedSet], arguments: argparse.Namespace) -> dict[str, Any]:
    if not arguments.full and _is_recorded(sets, arguments.recordings):
        return _replayed(sets, arguments)
    async with _stack(arguments) as (home, stack):
        for one in sets:
            if not arguments.posted:
                await post(one.messages, home)
        if arguments.full:
            return await _everything(sets, stack, home, arguments)
        return await _measure(sets, stack, arguments)


def _is_recorded(sets: Sequence[JudgedSet], recordings: Path | None) -> bool:
    return recordings is not None and all((recordings / f"{one.name}.json").exists() for one in sets)


@asynccontextmanager
async def _stack(arguments: argparse.Namespace) -> AsyncIterator[tuple[Path, Stack]]:
    if arguments.home:
        yield arguments.home, _running(arguments.home)
        return
    with tempfile.TemporaryDirectory() as folder:
        home = (arguments.keep or Path(folder)) / "stack"
        async with installed(
            home, arguments.model, arguments.first_port, arguments.rerank_url, arguments.rerank_model
        ) as stack:
            yield home, stack


def _running(home: Path) -> Stack:
    return Stack.model_validate_json((home / "stack.json").read_bytes())


async def _measure(sets: Sequence[JudgedSet], stack: Stack, arguments: argparse.Namespace) -> dict[str, Any]:
    """Ask what the command line says."""
    if arguments.recordings:
        await _record(sets, stack, arguments.recordings)
        return _replayed(sets, arguments)
    report: dict[str, Any] = {"model": stack.embedding_model, "mode": arguments.mode, "sets": {}}
    for one in sets:
        if arguments.context:
            report["sets"][one.name] = await measuring.contexts(one, stack, arguments.at_most, arguments.seed)
        else:
            report["sets"][one.name] = await measuring.searches(one, stack, arguments.mode, arguments.seed)
    return report


async def _everything(
    sets: Sequence[JudgedSet], stack: Stack, home: Path, arguments: argparse.Namespace
) -> dict[str, Any]:
    at_most, seed = arguments.at_most, arguments.seed
    report: dict[str, Any] = {"model": stack.embedding_model, "at_most": at_most, "sets": {}}
    # Everyday cases are asked below, in more surroundings; as a set they are only recorded.
    for one in (one for one in sets if one.name != EVERYDAY):
        measured = {"hybrid": await measuring.searches(one, stack, "hybrid", seed)}
        for mode in MODES[1:]:
            measured[mode] = await measuring.one_score(one, stack, mode, at_most, seed)
        measured["contexts"] = await measuring.contexts(one, stack, at_most, seed)
        report["sets"][one.name] = measured
    recordings = arguments.recordings or home.parent / "recordings"
    await _record([one for one in sets if not _is_recorded([one], recordings)], stack, recordings)
    read = {one.name: replaying.read(recordings / f"{one.name}.json") for one in sets}
    scale = scale_of(_space(stack.embedding_model).vector_name)
    for mode, name in LEFT_OUT.items():
        report[name] = print_left_out(read, scale, mode=mode, ablation=mode == "hybrid") if len(read) > 1 else {}
    return report | await measure_everyday(read_cases(), What(seed=seed), home, stack)


async def _record(sets: Sequence[JudgedSet], stack: Stack, recordings: Path) -> None:
    for one in sets:
        recorded = await replaying.record(one, stack, _DIMENSIONS[stack.embedding_model])
        replaying.write(recordings / f"{one.name}.json", stack.embedding_model, recorded)
        print(f"{one.name}: {len(recorded)} questions recorded", file=sys.stderr)


def _space(model: str) -> EmbeddingSpace:
    return EmbeddingSpace(model, _DIMENSIONS[model])


def _replayed(sets: Sequence[JudgedSet], arguments: argparse.Namespace) -> dict[str, Any]:
    files = [arguments.recordings / f"{one.name}.json" for one in sets]
    model = replaying.model_of(files[0])
    recordings = {one.name: replaying.read(file) for one, file in zip(sets, files, strict=True)}
    name = _space(model).vector_name
    report: dict[str, Any] = {"model": model, "mode": arguments.mode, "sets": {}}
    scale = scale_of(name)
    if arguments.left_out:
        left_out = print_left_out(recordings, scale, mode=arguments.mode, ablation=arguments.ablation)
        return {"model": model, LEFT_OUT[arguments.mode]: left_out}
    calibration = _fit(recordings, name, arguments) if arguments.fit or arguments.ship else calibration_of(name)
    ranking = calibration.model(dense=arguments.mode != "keyword", keyword=arguments.mode != "dense")
    for name, replayed in replay_all(recordings, arguments.mode, scale).items():
        report["sets"][name] = _ranked_set(name, rank_by(replayed, ranking, calibration.scale))
    return report


def _fit(recordings: Recordings, name: str, arguments: argparse.Namespace) -> Calibration:
    """Return a calibration fitted to recordings, and write it as the command line says."""
    calibration = fit_calibration(recordings, scale_of(name))
    if arguments.ship:
        write_shipped(arguments.ship, calibration)
    else:
        others = read_calibrations(arguments.fit) if arguments.fit.exists() else {}
        write_calibrations(arguments.fit, others | {name: calibration})
    print("fitted:", (arguments.ship or arguments.fit).read_text())
    return calibration


def _ranked_set(name: str, ranked: Sequence[Ranked]) -> dict[str, Any]:
    table = print_set(name, list(judgements(ranked)), calibration_of_ranked(ranked))
    figures = abstention(ranked)
    if figures:
        print_abstention(figures)
    return {**table, "abstention": figures}


if __name__ == "__main__":
    asyncio.run(main())
