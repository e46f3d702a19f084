"""Everyday cases: what was said, what is asked, and what must hold of the hits. Pure, but for reading the tables.

The tables are the files `cases/AXIS.jsonl`; a line is a case or a group of cases. All of them have a unique `id` and
what was `said`: texts, `[speaker, text]`, or objects with `text` and any of `speaker`, `role` and `at`.

    {"id", "said", "ask", …}                 one case
    {"id", "pairs": [[text, question], …]}   a case for each pair: all texts are said, its own is first
    {"id", "dated": [[at, text, question]]}  the same with times; a question that is null is not asked
    {"id", "hidden": [[text, question], …]}  the same, each text in the middle of a long one
    {"id", "said", "never": [question, …]}   nothing that was said answers any of the questions

What must hold, by places in `said`: `first` (one of these), `above` (pairs), `found` (by place: among so many first
hits), `least` (the relevance of what should be first). Besides: `most` (no hit has more relevance), `as_of` (when it is
asked), `language` (of other messages around it), `shapes` (only in these surroundings).
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.quality.everyday.unrelated import ENGLISH, sentences

CASES = Path(__file__).with_name("cases")

_NEVER = 0.1
"""The most relevance that a hit may have for a question that nothing answers."""
_SENTENCES_AROUND = 12
"""Before, and after, what a long text hides."""


@dataclass(frozen=True, slots=True)
class Said:
    """A message of a case."""

    text: str
    speaker: str | None = None
    role: str = "user"
    at: str | None = None
    """When, if that matters."""


@dataclass(frozen=True, slots=True)
class Case:
    """A question about what was said, and what must hold of the hits. Messages are named by their places in `said`."""

    axis: str
    name: str
    said: tuple[Said, ...]
    ask: str
    first: frozenset[int] = frozenset()
    """One of them is the first hit."""
    above: tuple[tuple[int, int], ...] = ()
    """Pairs: the one is found, and above the other."""
    found: tuple[tuple[int, int], ...] = ()
    """Pairs of a message and a number: it is among so many first hits."""
    least: float | None = None
    """The least relevance of what should be the first hit."""
    most: float | None = None
    """The most relevance of any hit."""
    as_of: str | None = None
    language: str = ENGLISH
    shapes: tuple[str, ...] = ()
    """The only surroundings in which it means something; empty: all."""

    @property
    def label(self) -> str:
        """The axis and the name, which no two cases share."""
        return f"{self.axis}/{self.name}"


def read_cases(folder: Path = CASES) -> list[Case]:
    """Return the cases of all tables.

    Raises:
        ValueError: a line has fields that no case has, or two cases have one name.

    """
    cases = [
        case
        for file in sorted(folder.glob("*.jsonl"))
        for line in file.read_text().splitlines()
        for case in read_line(file.stem, json.loads(line))
    ]
    names = [case.label for case in cases]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"two cases have one name: {', '.join(sorted(twice))}")
    return cases


def read_line(axis: str, line: Mapping[str, Any]) -> Iterator[Case]:
    """Yield the cases of a line of a table.

    Raises:
        ValueError: it has fields that no case has.

    """
    fields = dict(line)
    name = fields.pop("id")
    for kind, read in (("pairs", _pairs), ("dated", _dated), ("hidden", _hidden)):
        if kind in fields:
            told, questions = read(fields.pop(kind), f"{axis}/{name}")
            for place, question in questions:
                case = {**fields, "said": told, "ask": question, "first": place}
                yield _case(axis, f"{name}-{place + 1}", case)
            return
    if "never" in fields:
        questions = fields.pop("never")
        for place, question in enumerate(questions):
            yield _case(axis, f"{name}-{place + 1}", {"most": _NEVER, **fields, "ask": question})
        return
    yield _case(axis, name, fields)


_Group = tuple[list[Any], list[tuple[int, str]]]
"""What was said, and the questions with the place of what answers each."""


def _pairs(rows: Sequence[Sequence[str]], _: str) -> _Group:
    return [text for text, _ in rows], [(place, question) for place, (_, question) in enumerate(rows)]


def _dated(rows: Sequence[Sequence[str]], _: str) -> _Group:
    asked = [(place, question) for place, (_, _, question) in enumerate(rows) if question]
    return [{"at": at, "text": text} for at, text, _ in rows], asked


def _hidden(rows: Sequence[Sequence[str]], name: str) -> _Group:
    rng = Random(name)  # noqa: S311 - which sentences stand around, not a secret
    texts = []
    for text, _ in rows:
        around = sentences(rng, 2 * _SENTENCES_AROUND)
        texts.append(" ".join([*around[:_SENTENCES_AROUND], text, *around[_SENTENCES_AROUND:]]))
    return texts, [(place, question) for place, (_, question) in enumerate(rows)]


def _case(axis: str, name: str, fields: Mapping[str, Any]) -> Case:
    case = Case(axis, name, tuple(_said(one) for one in fields["said"]), fields["ask"])
    given = {field: _FIELDS[field](value) for field, value in fields.items() if field in _FIELDS}
    if unknown := fields.keys() - _FIELDS.keys() - {"said", "ask"}:
        raise ValueError(f"{case.label}: no case has {', '.join(sorted(unknown))}")
    return replace(case, **given)


def _said(written: str | Sequence[str] | Mapping[str, str]) -> Said:
    if isinstance(written, str):
        return Said(written)
    if isinstance(written, Mapping):
        return Said(**written)
    speaker, text = written
    return Said(text, speaker)


_FIELDS: Mapping[str, Any] = {
    "first": lambda value: frozenset(value if isinstance(value, list) else [value]),
    "above": lambda value: tuple((one, other) for one, other in value),
    "found": lambda value: tuple((int(place), rank) for place, rank in value.items()),
    "least": float,
    "most": float,
    "as_of": str,
    "language": str,
    "shapes": tuple,
}
"""The fields of a line that a case has too, and how each is read."""
