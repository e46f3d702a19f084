"""Asks everyday questions of many small histories, through the running services, and counts what holds.

    python -m benchmarks.quality.everyday [--sizes 0 20 200] [--shapes notes apart amid] [--axis time …] [--json FILE]
    python -m benchmarks.quality.everyday --histories [5 50 500 …] [--sizes] [--json FILE]
    python -m benchmarks.quality.everyday --list
    python -m benchmarks.quality.everyday --write FOLDER

Every case is a few messages and a question, in `cases/`. Each is asked alone and among unrelated messages, with and
without conversations and speakers; only cases that say the same share a history. `--histories` asks for exactly
answering notes, and for what was never said, in histories of so many messages; with no `--sizes`, for these alone. All
users share a stack, which this starts unless `--home` says where one runs; one in `--keep` stays, and what it has
embedded once is not embedded again. `--write` makes the cases one more set for `python -m benchmarks.quality`, but for
those that depend on when they are asked.
"""

import argparse
import asyncio
import json
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.command import say
from benchmarks.quality.asking import post, search_all
from benchmarks.quality.everyday.cases import Case, read_cases
from benchmarks.quality.everyday.exporting import write_set
from benchmarks.quality.everyday.histories import SHAPES as HISTORY_SHAPES
from benchmarks.quality.everyday.histories import SIZES, at_size, place_notes, print_histories
from benchmarks.quality.everyday.surroundings import SHAPES, PlacedCase, messages_of, place_all
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
    parser.add_argument("--sizes", nargs="*", type=int, default=[0, 20, 200], help="unrelated messages around a case")
    parser.add_argument("--histories", nargs="*", type=int, help=f"messages of histories [{_listed(SIZES)}]")
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
    if arguments.write:
        write_set(place_all(chosen, arguments.sizes, arguments.shapes, arguments.seed), arguments.write)
        return
    report = {"place": place_of(SystemClock().now(), arguments.seed), **await _run(chosen, arguments)}
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")


def _listed(sizes: Iterable[int]) -> str:
    return " ".join(map(str, sizes))


def _list(cases: Sequence[Case]) -> None:
    for case in cases:
        print(f"{case.label}: {case.ask}")
    print(f"{len(cases)} cases")


async def _run(chosen: Sequence[Case], arguments: argparse.Namespace) -> dict[str, Any]:
    """Return all figures, and the model that the vectors were made by."""
    if arguments.home:
        stack = Stack.model_validate_json((arguments.home / "stack.json").read_bytes())
        return await _measured(chosen, arguments.home, stack, arguments)
    with tempfile.TemporaryDirectory() as folder:
        home = (arguments.keep or Path(folder)) / "stack"
        async with installed(home, arguments.model, arguments.first_port) as stack:
            return await _measured(chosen, home, stack, arguments)


async def _measured(chosen: Sequence[Case], home: Path, stack: Stack, arguments: argparse.Namespace) -> dict[str, Any]:
    report: dict[str, Any] = {"model": stack.embedding_model}
    verdicts: list[Verdict] = []
    took = {}
    for size in arguments.sizes:
        placed = place_all(chosen, [size], arguments.shapes, arguments.seed)
        asked, took[str(size)] = await _ask(placed, home, stack, arguments)
        verdicts += asked
    if verdicts:
        report["everyday"] = {"mode": arguments.mode, "took": took, **_report(verdicts)}
    if arguments.histories is not None:
        report["histories"] = {"mode": arguments.mode, **await _histories(home, stack, arguments)}
    return report


async def _histories(home: Path, stack: Stack, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of notes, and of what was never said, by the size of the history and by its shape."""
    sizes: dict[str, Any] = {}
    took, all_verdicts = {}, []
    for size in arguments.histories or SIZES:
        placed = [one for shape in HISTORY_SHAPES for one in place_notes(size, shape, arguments.seed)]
        asked, took[str(size)] = await _ask(placed, home, stack, arguments)
        # Of the whole history, with the notes that it is asked for.
        verdicts = [replace(one, size=size) for one in asked]
        sizes[str(size)] = {
            shape: asdict(at_size([one for one in verdicts if one.shape == shape])) for shape in HISTORY_SHAPES
        }
        all_verdicts += verdicts
    print_failures(all_verdicts)
    print_histories(sizes)
    return {"sizes": sizes, "took": took, "failures": [asdict(one) for one in all_verdicts if not one.passed]}


async def _ask(
    placed: Sequence[PlacedCase], home: Path, stack: Stack, arguments: argparse.Namespace
) -> tuple[list[Verdict], dict[str, float]]:
    """Post all histories and ask all questions; return what held, and the seconds that both took."""
    lines = [json.dumps(message) for message in messages_of(placed)]
    # Every user's messages come in an order of their own, and among those of all others.
    Random(arguments.seed).shuffle(lines)  # noqa: S311 - an order, not a secret
    clock = SystemClock()
    began = clock.monotonic()
    with tempfile.TemporaryDirectory() as work:
        file = Path(work) / "everyday.jsonl"
        file.write_text("\n".join(lines) + "\n")
        await post(file, home)
    searchable = clock.monotonic()
    answers = await search_all([{**one.query, "limit": _HITS, "mode": arguments.mode} for one in placed], stack)
    took = {"messages": len(lines), "posting": searchable - began, "asking": clock.monotonic() - searchable}
    histories = len({one.user_id for one in placed})
    say(f"{histories} histories: {len(lines)} messages were searchable after {took['posting']:.0f} s, "
        f"{len(placed)} questions answered after {took['asking']:.0f} s")  # fmt: skip
    return [judge(one, answer.hits) for one, answer in zip(placed, answers, strict=True)], took


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
