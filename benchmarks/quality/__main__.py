"""Measures how well the running services find the evidence of judged questions.

    python benchmarks/quality --data FOLDER [--sets locomo beam] [--home DIR] [--mode hybrid] [--fit] [--json FILE]

Without `--home` it runs a stack of its own. What it does not measure: questions without evidence (abstention), and
what a chat model makes of the hits.
"""

import argparse
import asyncio
import json
import signal
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from asking import ask, check_owner, post
from fitting import Sample, fit_calibration
from metrics import MEASURES, Judgement, calibration_error, interval
from sets import JudgedSet, read_set

from memstream.contracts.searches import Hit, SearchOut
from memstream.contracts.stack import Stack
from memstream.retriever.neighbours import Turn
from memstream.retriever.relevance import Signals

_START_SECONDS = 60.0


async def main() -> None:
    """Run as the command line says, and print a table a set."""
    parser = argparse.ArgumentParser(prog="benchmarks/quality", description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds the sets' folders")
    parser.add_argument("--sets", nargs="+", default=["locomo", "beam"])
    parser.add_argument("--home", type=Path, help="of a running stack")
    parser.add_argument("--model", default="minilm", help="of a stack of its own")
    parser.add_argument("--mode", default="hybrid", choices=("hybrid", "dense", "keyword"))
    parser.add_argument("--fit", action="store_true", help="fit a calibration, and print it")
    parser.add_argument("--json", type=Path, help="write all figures and samples there")
    arguments = parser.parse_args()
    sets = [read_set(arguments.data / name) for name in arguments.sets]
    if arguments.home:
        await measure(sets, arguments.home, arguments)
        return
    with tempfile.TemporaryDirectory() as folder:
        process = await _start(Path(folder), arguments.model)
        try:
            await measure(sets, Path(folder), arguments)
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


async def measure(sets: Sequence[JudgedSet], home: Path, arguments: argparse.Namespace) -> None:
    """Post, ask, and print."""
    stack = Stack.model_validate_json((home / "stack.json").read_bytes())
    report: dict[str, Any] = {"model": stack.embedding_model, "mode": arguments.mode, "sets": {}}
    samples = []
    for one in sets:
        await post(one, home)
        owners = {row["message_id"]: row["user_id"] for row in map(json.loads, one.messages.open())}
        asked = [question for question in one.questions if question.evidence]
        answers = await ask(asked, stack, mode=arguments.mode)
        judgements = []
        relevances: list[float] = []
        candidates: list[list[Sample]] = []
        for question, answer in zip(asked, answers, strict=True):
            check_owner(question, answer.hits, owners)
            hits = [hit.message_id in question.evidence for hit in answer.hits]
            judgements.append(Judgement(question.category, hits, len(question.evidence)))
            relevances += [hit.relevance for hit in answer.hits]
            candidates.append([_sample(hit, label) for hit, label in zip(answer.hits, hits, strict=True)])
        samples.append(candidates)
        labels = np.array([sample.label for question in candidates for sample in question])
        error = calibration_error(np.array(relevances), labels)
        report["sets"][one.name] = _table(one, judgements, answers, error)
    if arguments.fit:
        report["calibration"] = fit_calibration(samples)
        print("calibration (intercept, coefficients):", json.dumps(report["calibration"]))
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1))


def _sample(hit: Hit, label: bool) -> Sample:  # noqa: FBT001 - what the fit is about
    signals = Signals(hit.signals.get("dense"), hit.signals.get("keyword"), int(hit.signals["chunks"]))
    turn = Turn(hit.conversation_id, (hit.occurred_at.isoformat(), hit.message_id), len(hit.text.split()), 0.0)
    return Sample(signals, turn, label)


def _table(one: JudgedSet, judgements: list[Judgement], answers: Sequence[SearchOut], error: float) -> dict[str, Any]:
    by_category: defaultdict[str, list[Judgement]] = defaultdict(list)
    for judgement in judgements:
        by_category[judgement.category].append(judgement)
        by_category["all"].append(judgement)
    took = np.percentile([answer.took_ms for answer in answers], [50, 99])
    print(f"\n{one.name}: {len(judgements)} questions with evidence, expected calibration error {error:.3f}, "
          f"p50 {took[0]:.1f} ms, p99 {took[1]:.1f} ms")  # fmt: skip
    print(f"{'':24}{'n':>6}" + "".join(f"{name:>12}" for name in MEASURES))
    table: dict[str, Any] = {"calibration_error": error, "took_ms": {"p50": took[0], "p99": took[1]}, "categories": {}}
    for category, part in sorted(by_category.items(), key=lambda item: (item[0] == "all", item[0])):
        rows = {name: interval([measure(judgement) for judgement in part]) for name, measure in MEASURES.items()}
        table["categories"][category] = {"questions": len(part), **rows}
        print(f"{category:24}{len(part):6}" + "".join(f"{100 * mean:12.1f}" for mean, _, _ in rows.values()))
    low_high = table["categories"]["all"]
    print(f"{'95% interval':30}" + "".join(f"{100 * low:6.1f}-{100 * high:5.1f}" for _, low, high in
          (low_high[name] for name in MEASURES)))  # fmt: skip
    return table


if __name__ == "__main__":
    asyncio.run(main())
