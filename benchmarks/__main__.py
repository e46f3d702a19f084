"""Runs all benchmarks, one after the other, and renders their report: `python -m benchmarks [--full] [--only NAME…]`.

The short sizes take about ten minutes: they show that everything works, and give rough figures. The sizes of `--full`
take about two hours; quote these. Retrieval quality is measured by `make quality`.
"""

import argparse
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.command import say
from benchmarks.report import read, render

_ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class _Run:
    """A benchmark with its options for the short and the full size."""

    name: str
    command: str
    short: str
    full: str


_RUNS = (
    _Run("ingest", "-m benchmarks.ingest", "--rounds 1 --seconds 2", "--rounds 5"),
    _Run("keys", "-m benchmarks.keys", "--rounds 1", ""),
    _Run("stack", "-m benchmarks.stack", "--count 500 --seconds 10", "--count 3000"),
    _Run(
        "limits",
        "-m benchmarks.embedder limits",
        "--limits requests calls --workers 4 --warm-up 30 --seconds 15 --rpm 240 --batch-texts 16",
        "--rounds 3 --within 10800",
    ),
    _Run("workers", "-m benchmarks.embedder workers", "--rounds 1 --warm-up 5 --seconds 8", ""),
    _Run("unlimited", "-m benchmarks.embedder unlimited", "--rounds 1 --warm-up 2 --messages 60000", ""),
    _Run("memory", "-m benchmarks.embedder memory", "--messages 30000 --replay-window 10 --trim-period 2", ""),
    _Run("outage", "-m benchmarks.embedder outage", "--outage 20 --lead 5", ""),
    _Run("growth", "-m benchmarks.growth", "--sizes 1000 10000 --users 1 100", ""),
    _Run("retriever", "-m benchmarks.retriever", "--rounds 1 --warm-up 2 --seconds 6 --messages 150", ""),
    _Run("http", "-m benchmarks.http", "--rounds 1 --slices 5 --messages 200", "--rounds 5 --slices 40"),
    _Run("hostile", "-m benchmarks.hostile", "--seconds 10", ""),
    _Run("searchable", "-m benchmarks.searchable", "--rounds 1 --warm-up 5 --seconds 10 --import 20000", ""),
)


def main() -> None:
    """Run the chosen benchmarks. When one fails, the others still run."""
    names = [run.name for run in _RUNS]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.split("\n\n")[0])
    parser.add_argument("--full", action="store_true", help="use the full sizes, whose figures may be quoted")
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--messages", type=Path, help="JSON lines for `stack`, as a device posts them")
    parser.add_argument("--results", type=Path, default=_ROOT / ".bench", help="folder of the results [.bench]")
    parser.add_argument("--report", type=Path, help="the rendered report [report.md in that folder]")
    options = parser.parse_args()
    results: Path = options.results.absolute()
    results.mkdir(parents=True, exist_ok=True)
    failed = [run.name for run in _RUNS if run.name in options.only and not _succeeds(run, options, results)]
    files = [file for file in (results / f"{name}.json" for name in names) if file.exists()]
    report: Path = options.report or results / "report.md"
    report.write_text(render([read(file) for file in files]))
    say(f"{report} is written from {len(files)} results")
    if failed:
        sys.exit(f"no result, or only part of it: {', '.join(failed)}")


def _succeeds(run: _Run, options: argparse.Namespace, results: Path) -> bool:
    say(f"=== {run.name}")
    words = [*run.command.split(), *(run.full if options.full else run.short).split()]
    if run.name == "stack" and options.messages:
        words += ["--messages", str(options.messages.absolute())]
    try:
        done = subprocess.run(
            [sys.executable, *words, "--json", str(results / f"{run.name}.json")], cwd=_ROOT, check=False
        )
    except KeyboardInterrupt:
        # The benchmark was interrupted as well, and has ended what it started.
        sys.exit("interrupted")
    return done.returncode == 0


if __name__ == "__main__":
    main()
