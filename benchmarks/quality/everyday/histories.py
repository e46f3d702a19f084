"""Exactly answering notes, and questions that nothing answers, in histories of so many messages.

A note that answers a question word for word should be sure of itself, and where nothing answers nothing should be,
however much else was said. The messages around it are shared: of a long history all notes are asked, of a short one
those that are at most a tenth of it. Pure, but for reading the notes.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from benchmarks.quality.everyday.cases import Case, Said
from benchmarks.quality.everyday.surroundings import AMID, NOTES, PlacedCase, place
from benchmarks.quality.everyday.verdicts import Verdict

SIZES = (5, 50, 500, 5_000, 10_000)
SHAPES = (NOTES, AMID)
LEAST, MOST = 0.5, 0.1
"""The least relevance of a note that answers exactly, and the most of any hit where nothing answers."""

_FILE = Path(__file__).with_name("notes.json")
_NOTE, _NEVER = "note", "never"
_SHARE = 10
"""At most one in so many messages is a note."""
_FIRST_DAY = datetime.fromisoformat("2023-06-14T09:00:00+00:00")


def read_notes() -> tuple[Sequence[tuple[str, str]], Sequence[str]]:
    """Return the notes, each with the question that it answers, and the questions that none of them answers."""
    read = json.loads(_FILE.read_bytes())
    return [(text, question) for text, question in read["notes"]], read["never"]


def place_notes(size: int, shape: str, seed: int) -> Iterator[PlacedCase]:
    """Yield all questions, each with a history of so many messages in which it is asked."""
    notes, never = read_notes()
    count = max(1, size // _SHARE)
    parts = [notes[start : start + count] for start in range(0, len(notes), count)]
    for number, part in enumerate(parts):
        said = tuple(
            Said(text, at=(_FIRST_DAY + timedelta(days=day)).isoformat())
            for day, (text, _) in zip(_days(seed, len(part)), part, strict=True)
        )
        history = place(Case("history", str(number), said, ""), size - len(said), shape, seed)
        for index, (_, question) in enumerate(part):
            first = frozenset({index})
            yield replace(history, case=Case(_NOTE, question, said, question, first=first, least=LEAST))
        for question in never[number :: len(parts)]:
            yield replace(history, case=Case(_NEVER, question, said, question, most=MOST))


def _days(seed: int, count: int) -> Sequence[int]:
    """Return a day of the year for each note, no two the same: notes are no conversation."""
    return Random(seed).sample(range(365), count)  # noqa: S311 - a draw, not a secret


@dataclass(frozen=True, slots=True)
class AtSize:
    """What was said of notes, and of questions that nothing answers, in histories of one size; shares, 0 to 1."""

    notes: int
    first: float
    """The share of the notes that are the first hit."""
    sure: float
    """The share of the notes with the least relevance that they should have."""
    median: float
    lowest_tenth: float
    """One in ten notes is as relevant as this, or less. What is not the first hit counts as 0."""
    never: int
    within: float
    """The share of the questions that nothing answers whose hits are all within the most relevance."""
    highest: float


def at_size(verdicts: Sequence[Verdict]) -> AtSize:
    """Return the figures of one size."""
    notes = [one for one in verdicts if one.axis == _NOTE]
    never = [one for one in verdicts if one.axis == _NEVER]
    relevances = [one.right_relevance or 0.0 for one in notes]
    return AtSize(
        notes=len(notes),
        first=float(np.mean([one.order_held for one in notes])),
        sure=float(np.mean([one.relevance_held for one in notes])),
        median=float(np.median(relevances)),
        lowest_tenth=float(np.quantile(relevances, 0.1)),
        never=len(never),
        within=float(np.mean([one.relevance_held for one in never])),
        highest=max(one.never_relevance or 0.0 for one in never),
    )


def print_histories(report: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
    """Print the figures by size and shape."""
    print(f"\n{'messages':16}{'notes':>7}{'first':>8}{f'≥ {LEAST}':>8}{'median':>8}{'lowest tenth':>14}"
          f"{'never said':>12}{f'≤ {MOST}':>8}{'highest':>9}")  # fmt: skip
    for size, shapes in report.items():
        for shape, one in shapes.items():
            print(f"{f'{size}, {shape}':16}{one['notes']:7}{100 * one['first']:7.0f}%{100 * one['sure']:7.0f}%"
                  f"{one['median']:8.2f}{one['lowest_tenth']:14.2f}{one['never']:12}"
                  f"{100 * one['within']:7.0f}%{one['highest']:9.2f}")  # fmt: skip
