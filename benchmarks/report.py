"""Renders the records of benchmarks as one table: `python -m benchmarks.report FILE.json… [--output FILE.md]`."""

import argparse
import json
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.record import Figure

_SHARE = "ratio"
_INTRODUCTION = """\
# Benchmarks

Written by `python -m benchmarks.report`; `make bench FULL=1` measures again. Each value is the median of the rounds,
with the smallest and the largest as its spread. Each contender ran in new processes; a ratio is within the same run.
"""


@dataclass(frozen=True, slots=True)
class ReadRecord:
    """A record, read from a file."""

    benchmark: str
    figures: Sequence[Figure]
    not_measured: Sequence[str]
    place: str


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table."""

    benchmark: str
    figure: str
    median: str
    spread: str
    target: str
    met: bool | None

    def line(self) -> str:
        """Return it as a line for a terminal."""
        verdict = {None: "", True: f"  ({self.target}: yes)", False: f"  ({self.target}: NO)"}[self.met]
        return f"{self.figure:58} {self.median:>16}  {self.spread}{verdict}"

    def cells(self) -> str:
        """Return it as Markdown."""
        verdict = {None: "", True: "yes", False: "**no**"}[self.met]
        return f"| {self.benchmark} | {self.figure} | {self.median} | {self.spread} | {self.target} | {verdict} |"


def rows_of(benchmark: str, figures: Sequence[Figure]) -> Iterator[Row]:
    """Return a row for each figure."""
    for figure in figures:
        middle = statistics.median(figure.values)
        spread = ""
        if len(figure.values) > 1:
            spread = f"{_written(min(figure.values), figure.unit)} to {_written(max(figure.values), figure.unit)}"
        target, met = "", None
        if figure.at_least is not None:
            target, met = f"≥ {_written(figure.at_least, figure.unit)}", middle >= figure.at_least
        if figure.at_most is not None:
            target, met = f"≤ {_written(figure.at_most, figure.unit)}", middle <= figure.at_most
        yield Row(benchmark, figure.name, _written(middle, figure.unit), spread, target, met)


def _written(value: float, unit: str) -> str:
    if unit == _SHARE:
        return f"{value:.1%}"
    number = f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"  # noqa: PLR2004
    return f"{number} {unit}".strip()


def read(file: Path) -> ReadRecord:
    """Read a record."""
    document: dict[str, Any] = json.loads(file.read_text())
    if "benchmark" not in document:
        sys.exit(f"{file} is not the record of a benchmark")
    machine, versions = document["machine"], document["versions"]
    place = (
        f"{document['started']}, {machine['cores']} cores {machine['processor']}, "
        f"{machine['memory_gib']} GiB, {machine['system']}, "
        f"files on {machine.get('files', 'an unrecorded file system')}, "
        f"other programs used {machine['others_busy_cores']} cores; "
        f"Python {versions['python']}, commit {versions['commit']}, seed {document['options'].get('seed')}"
    )
    figures = [Figure(**figure) for figure in document["figures"]]
    # By the file's name: the same benchmark may have been run in several ways.
    return ReadRecord(file.stem, figures, document["not_measured"], place)


def render(records: Sequence[ReadRecord]) -> str:
    """Return records as Markdown: what was not measured, then the table, then where each was taken."""
    lines = [_INTRODUCTION, "What is **not** measured:", ""]
    lines += [f"- {record.benchmark}: {'; '.join(record.not_measured)}." for record in records]
    lines += ["", "| benchmark | figure | median | spread | target | met |", "|---|---|---|---|---|---|"]
    lines += [row.cells() for record in records for row in rows_of(record.benchmark, record.figures)]
    lines += ["", "Measured:", ""]
    lines += [f"- {record.benchmark}: {record.place}." for record in records if record.place]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Render the files that the command line names."""
    parser = argparse.ArgumentParser(prog="benchmarks.report", description=__doc__)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--output", type=Path, help="write to this file instead of to the terminal")
    options = parser.parse_args()
    text = render([read(file) for file in options.files])
    if options.output:
        options.output.write_text(text)
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
