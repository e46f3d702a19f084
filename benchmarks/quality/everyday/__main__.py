"""Asks everyday questions of many small histories, through the running services, and counts what holds.

    python -m benchmarks.quality.everyday [--sizes 0 20 200] [--shapes notes apart amid] [--axis time …] [--json FILE]
    python -m benchmarks.quality.everyday --list
    python -m benchmarks.quality.everyday --write FOLDER

Every case is a few messages and a question, in `cases/`. Each is asked alone and among unrelated messages, with and
without conversations and speakers, and every time as another user. All users share a stack, which this starts unless
`--home` says where one runs; one in `--keep` stays, and what it has embedded once is not embedded again. `--write`
makes the cases one more set for `python -m benchmarks.quality`, but for those that depend on when they are asked.
"""

import argparse
import asyncio
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.command import say
from benchmarks.quality.asking import post, search_all
from benchmarks.quality.everyday.cases import Case, read_cases
from benchmarks.quality.everyday.exporting import write_set
from benchmarks.quality.everyday.surroundings import SHAPES, PlacedCase, place_all
from benchmarks.quality.everyday.tables import print_axes, print_failures, print_relevances, print_shapes
from benchmarks.quality.everyday.verdicts import Verdict, judge
from benchmarks.quality.installation import installed
from benchmarks.quality.rendering import place_of
from memstream.contracts.stack import Stack
from memstream.runtime.clock import SystemClock

_HITS = 10


async def main() -> None:
    """Run as the command line says."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.quality.everyday", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    cases = read_cases()
    axes = sorted({case.axis for case in cases})
    shapes = "; ".join(f"{name}: {meaning}" for name, meaning in SHAPES.items())
    parser.add_argument("--sizes", nargs="+", type=int, default=[0, 20, 200], help="unrelated messages around a case")
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES), help=shapes)
    parser.add_argument("--axis", nargs="+", choices=axes, default=axes, metavar="AXIS", help=", ".join(axes))
    parser.add_argument("--seed", type=int, default=1, help="of the unrelated messages, and of the order [%(default)s]")
    parser.add_argument("--home", type=Path, help="of a running stack")
    parser.add_argument("--keep", type=Path, help="the folder where a stack of its own stays")
    parser.add_argument("--first-port", type=int, default=18_850, help="of a stack of its own [%(default)s]")
    parser.add_argument("--model", default="minilm", help="of a stack of its own [%(default)s]")
    parser.add_argument("--mode", default="hybrid", choices=["hybrid", "dense", "keyword"])
    parser.add_argument("--json", type=Path, help="write all figures and verdicts there")
    parser.add_argument("--list", action="store_true", help="print the cases, and ask nothing")
    parser.add_argument("--write", type=Path, metavar="FOLDER", help="write messages and questions as a set there")
    arguments = parser.parse_args()
    chosen = [case for case in cases if case.axis in arguments.axis]
    if arguments.list:
        _list(chosen)
        return
    placed = place_all(chosen, arguments.sizes, arguments.shapes, arguments.seed)
    if arguments.write:
        write_set(placed, arguments.write)
        return
    verdicts, model = await _run(placed, arguments)
    report = {
        "place": place_of(SystemClock().now(), arguments.seed),
        "model": model,
        "mode": arguments.mode,
        **_report(verdicts),
    }
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")


def _list(cases: Sequence[Case]) -> None:
    for case in cases:
        print(f"{case.label}: {case.ask}")
    print(f"{len(cases)} cases")


async def _run(placed: Sequence[PlacedCase], arguments: argparse.Namespace) -> tuple[list[Verdict], str]:
    """Return what held, and the model that the vectors were made by."""
    if arguments.home:
        stack = Stack.model_validate_json((arguments.home / "stack.json").read_bytes())
        return await _ask(placed, arguments.home, stack, arguments), stack.embedding_model
    with tempfile.TemporaryDirectory() as folder:
        home = (arguments.keep or Path(folder)) / "stack"
        async with installed(home, arguments.model, arguments.first_port) as stack:
            return await _ask(placed, home, stack, arguments), stack.embedding_model


async def _ask(placed: Sequence[PlacedCase], home: Path, stack: Stack, arguments: argparse.Namespace) -> list[Verdict]:
    lines = [json.dumps(message) for one in placed for message in one.messages]
    # Every user's messages come in an order of their own, and among those of all others.
    Random(arguments.seed).shuffle(lines)  # noqa: S311 - an order, not a secret
    say(f"{len(placed)} histories of {len({one.case.label for one in placed})} cases: {len(lines)} messages")
    with tempfile.TemporaryDirectory() as work:
        file = Path(work) / "everyday.jsonl"
        file.write_text("\n".join(lines) + "\n")
        await post(file, home)
    say("all are searchable; asking")
    answers = await search_all([{**one.query, "limit": _HITS, "mode": arguments.mode} for one in placed], stack)
    say("asked")
    return [judge(one, answer.hits) for one, answer in zip(placed, answers, strict=True)]


def _report(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    print_failures(verdicts)
    return {
        "axes": print_axes(verdicts),
        "shapes": print_shapes(verdicts),
        "relevances": print_relevances(verdicts),
        "verdicts": [asdict(one) | {"passed": one.passed} for one in verdicts],
    }


if __name__ == "__main__":
    asyncio.run(main())
