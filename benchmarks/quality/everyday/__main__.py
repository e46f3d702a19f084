"""Asks everyday questions of many small histories, through the running services, and counts what holds.

    python -m benchmarks.quality.everyday [--sizes 0 20 200] [--shapes notes apart amid chat] [--axis …] [--json FILE]
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
from pathlib import Path
from typing import Any

from benchmarks.quality.everyday.cases import Case, read_cases
from benchmarks.quality.everyday.exporting import write_set
from benchmarks.quality.everyday.histories import SIZES
from benchmarks.quality.everyday.running import SURROUNDINGS, What, measure
from benchmarks.quality.everyday.surroundings import SHAPES, place_all
from benchmarks.quality.installation import installed
from benchmarks.quality.rendering import place_of
from memstream.contracts.stack import Stack
from memstream.runtime.clock import SystemClock


async def main() -> None:
    """Run as the command line says."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.quality.everyday", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    cases = read_cases()
    axes = sorted({case.axis for case in cases})
    shapes = "; ".join(f"{name}: {meaning}" for name, meaning in SHAPES.items())
    parser.add_argument("--sizes", nargs="*", type=int, default=SURROUNDINGS, help="unrelated messages around a case")
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
    sizes = None if arguments.histories is None else arguments.histories or SIZES
    what = What(arguments.sizes, sizes, arguments.shapes, arguments.mode, arguments.seed)
    if arguments.home:
        stack = Stack.model_validate_json((arguments.home / "stack.json").read_bytes())
        return await measure(chosen, what, arguments.home, stack)
    with tempfile.TemporaryDirectory() as folder:
        home = (arguments.keep or Path(folder)) / "stack"
        async with installed(home, arguments.model, arguments.first_port) as stack:
            return await measure(chosen, what, home, stack)


if __name__ == "__main__":
    asyncio.run(main())
