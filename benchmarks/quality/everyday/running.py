"""Asks the everyday cases, and for notes in histories of many sizes, through the running services."""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.command import say
from benchmarks.quality.asking import post, search_all
from benchmarks.quality.everyday.cases import Case
from benchmarks.quality.everyday.histories import SHAPES as HISTORY_SHAPES
from benchmarks.quality.everyday.histories import SIZES, at_size, place_notes, print_histories
from benchmarks.quality.everyday.surroundings import SHAPES, PlacedCase, messages_of, place_all
from benchmarks.quality.everyday.tables import print_axes, print_failures, print_relevances, print_shapes
from benchmarks.quality.everyday.verdicts import Verdict, judge
from memstream.contracts.searches import Mode
from memstream.contracts.stack import Stack
from memstream.runtime.clock import SystemClock

SURROUNDINGS = (0, 20, 200)
"""How many unrelated messages are around a case."""
_HITS = 10


@dataclass(frozen=True, slots=True)
class What:
    """What is asked, and how."""

    sizes: Sequence[int] = SURROUNDINGS
    histories: Sequence[int] | None = SIZES
    """None: notes are not asked for."""
    shapes: Sequence[str] = tuple(SHAPES)
    mode: Mode = "hybrid"
    seed: int = 1


async def measure(chosen: Sequence[Case], what: What, home: Path, stack: Stack) -> dict[str, Any]:
    """Return all figures; print them."""
    report: dict[str, Any] = {"model": stack.embedding_model}
    verdicts: list[Verdict] = []
    took = {}
    for size in what.sizes:
        placed = place_all(chosen, [size], what.shapes, what.seed)
        asked, took[str(size)] = await _ask(placed, what, home, stack)
        verdicts += asked
    if verdicts:
        report["everyday"] = {"mode": what.mode, "took": took, **_report(verdicts)}
    if what.histories is not None:
        report["histories"] = {"mode": what.mode, **await _histories(what, home, stack)}
    return report


async def _histories(what: What, home: Path, stack: Stack) -> dict[str, Any]:
    """Return the figures of notes, and of what was never said, by the size of the history and by its shape."""
    sizes: dict[str, Any] = {}
    took, all_verdicts = {}, []
    for size in what.histories or ():
        placed = [one for shape in HISTORY_SHAPES for one in place_notes(size, shape, what.seed)]
        asked, took[str(size)] = await _ask(placed, what, home, stack)
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
    placed: Sequence[PlacedCase], what: What, home: Path, stack: Stack
) -> tuple[list[Verdict], dict[str, float]]:
    """Post all histories and ask all questions; return what held, and the seconds that both took."""
    lines = [json.dumps(message) for message in messages_of(placed)]
    # Every user's messages come in an order of their own, and among those of all others.
    Random(what.seed).shuffle(lines)  # noqa: S311 - an order, not a secret
    clock = SystemClock()
    began = clock.monotonic()
    with tempfile.TemporaryDirectory() as work:
        file = Path(work) / "everyday.jsonl"
        file.write_text("\n".join(lines) + "\n")
        await post(file, home)
    searchable = clock.monotonic()
    answers = await search_all([{**one.query, "limit": _HITS, "mode": what.mode} for one in placed], stack)
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
