"""Renders the figures of a full run as Markdown: first what was not measured, last where it was measured.

    python -m benchmarks.quality.rendering REPORT.json [EVERYDAY.json …] --page docs/quality.md [--readme README.md]

What several files hold under different names is put together; of what two of them hold, the last one counts.
"""

import argparse
import json
import platform
import subprocess
from collections.abc import Iterator, Sequence
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from benchmarks.quality import out_of_set
from benchmarks.quality.contexts import BUDGETS, KINDS
from benchmarks.quality.judging import MODES
from benchmarks.quality.left_out import LEFT_OUT
from benchmarks.quality.markdown import Figures, measured, number, percent, share, table, verdict
from benchmarks.quality.sets import ACROSS

_SHOWN = ("recall@1", "recall@5", "recall@10", "recall@25", "recall@50", "nDCG@10", "MRR@10")
_BUDGETS = [f"{kind}, {budget}" for kind in KINDS for budget in BUDGETS]
_NO_BUDGETS = ("questions", "strangers")
_PACKAGES = ("numpy", "qdrant-client", "qdrant-edge-py", "ctranslate2")
_NEEDED = ("sets", *LEFT_OUT.values(), "everyday", "histories")
_WANTED = (
    ("locomo", "all", "recall@5", 0.74),
    ("locomo", "all", "recall@10", 0.82),
    ("locomo", "all", "nDCG@10", 0.59),
    ("beam", "all", "recall@5", 0.69),
    ("beam", "all", "recall@10", 0.81),
    ("scifact", "all", "nDCG@10", 0.70),
    ("xquad", "en", "recall@1", 0.95),
)
_MOST_ERROR = 0.05
_LEAST_AUROC = 0.90
_ABSTENTION = (
    *("AUROC", "AUROC of the best cosine", "false accepts at 95% true accepts"),
    *("true and false accepts of a cosine over 0.2", "AUROC against the data set's own questions without an answer"),
    *("AUROC, names swapped", "false accepts, names swapped"),
)
_PAGE = Path(__file__).with_name("page.md")
_NOT_MEASURED = (
    "what a chat model does with the hits and contexts; speech, transcripts with errors",
    "long histories of real people: the unrelated messages of everyday questions are made from templates",
    "other embedding models than the one named below",
)
_SHORT = "<!-- quality: written by python -m benchmarks.quality.rendering -->"
_SHORT_END = "<!-- end of quality -->"


class MissingError(Exception):
    """A report, or a README, lacks something that is rendered; the message says what."""


def place_of(now: datetime, seed: int) -> str:
    """Return where and when something is measured, and with which seed."""
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty"],  # noqa: S607 - git is where the path says
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{now:%Y-%m-%d}, {psutil.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}; "
        f"Python {platform.python_version()}, {packages}; commit {described.stdout.strip() or 'unknown'}, seed {seed}"
    )


def render(report: Figures) -> str:
    """Return a full report.

    Raises:
        MissingError: not everything was measured.

    """
    if missing := [name for name in _NEEDED if name not in report]:
        raise MissingError(f"the page needs also: {', '.join(missing)}")
    sets, left_out = report["sets"], report["left_out"]
    return _PAGE.read_text().format(
        not_measured="\n".join(f"- {line}." for line in _NOT_MEASURED),
        targets=out_of_set.targets(report),
        left_out=out_of_set.sets(left_out),
        relevances=out_of_set.relevances(left_out),
        abstaining=out_of_set.contexts(left_out),
        modes=out_of_set.modes(report),
        ablation=out_of_set.ablation(left_out),
        everyday=out_of_set.everyday(report["everyday"]),
        histories=out_of_set.histories(report["histories"]),
        wanted=table(["", "target", "measured", "met"], _wanted(sets)),
        abstained=out_of_set.contexts_in_use(sets),
        categories=table(["", "questions", *_SHOWN], _categories(sets)),
        errors=table(["", *MODES], _errors(sets)),
        used=table(
            ["", *out_of_set.USED],
            ([name, *out_of_set.used(one["hybrid"]["calibration"])] for name, one in sets.items()),
        ),
        abstention=table(["", *_ABSTENTION], _abstentions(sets)),
        contexts=table(["", "questions", *_BUDGETS], _contexts(sets)),
        at_most=report["at_most"],
        place=report["place"],
        model=report["model"],
    )


def with_figures(readme: str, report: Figures) -> str:
    """Return a README with the table of figures in its place.

    Raises:
        MissingError: it has no place for it.

    """
    before, start, rest = readme.partition(_SHORT)
    _, end, after = rest.partition(_SHORT_END)
    if not start or not end:
        raise MissingError(f"the README has no place for the figures: {_SHORT}")
    return f"{before}{start}\n{out_of_set.in_short(report)}\n{end}{after}"


def _wanted(sets: Figures) -> Iterator[list[str]]:
    for name, category, measure, least in _WANTED:
        found = sets.get(name, {}).get("hybrid", {}).get("categories", {})
        # A set whose questions are of one category has no line for all of them.
        row = found.get(category) or next(iter(found.values()), None)
        if row:
            label = name if category == "all" else f"{name}, {category}"
            met = verdict(met=row[measure][0] >= least)
            yield [label, f"{measure} ≥ {100 * least:.0f}", measured(row[measure]), met]
    for name, one in sets.items():
        worst = max(one[mode]["calibration_error"] for mode in MODES)
        met = verdict(met=worst <= _MOST_ERROR)
        yield [name, f"calibration error ≤ {_MOST_ERROR} in each mode", f"{worst:.3f}", met]
        if abstention := one["hybrid"]["abstention"]:
            met = verdict(met=abstention["auroc"] >= _LEAST_AUROC)
            yield [name, f"AUROC ≥ {_LEAST_AUROC:.2f}", f"{abstention['auroc']:.3f}", met]


def _categories(sets: Figures) -> Iterator[list[str]]:
    for name, one in sets.items():
        for category, row in one["hybrid"]["categories"].items():
            label = f"**{name}**" if category == "all" else f"{name}, {category}"
            # Of all languages at once nothing is said.
            if category == "all" and any(other.startswith(ACROSS) for other in one["hybrid"]["categories"]):
                continue
            yield [label, str(row["questions"]), *(measured(row[measure]) for measure in _SHOWN)]
        if changed := one["hybrid"].get("newest_first"):
            first = f"newest statement first: {share(changed['share'])}%"
            yield [f"{name}, questions about changes", str(changed["questions"]), first, *([""] * (len(_SHOWN) - 1))]


def _errors(sets: Figures) -> Iterator[list[str]]:
    for name, one in sets.items():
        yield [name, *(f"{one[mode]['calibration_error']:.3f}" for mode in MODES)]


def _abstentions(sets: Figures) -> Iterator[list[str]]:
    for name, one in sets.items():
        if abstention := one["hybrid"]["abstention"]:
            cosine = f"{share(abstention['cosine_true_accepts'])}%, {share(abstention['cosine_false_accepts'])}%"
            own = abstention["unanswerable_auroc"]
            yield [
                name,
                *(f"{abstention[key]:.3f}" for key in ("auroc", "cosine_auroc")),
                f"{share(abstention['false_accepts'])}%",
                cosine,
                "" if own is None else f"{own:.3f}",
                *_swapped(abstention),
            ]


def _swapped(abstention: Figures) -> list[str]:
    accepts = abstention["swapped_false_accepts"]
    return [number(abstention["swapped_auroc"]), "" if accepts is None else f"{share(accepts)}%"]


def _contexts(sets: Figures) -> Iterator[list[str]]:
    for name, one in sets.items():
        found = {label: row for label, row in one["contexts"].items() if label not in _NO_BUDGETS}
        cells = (f"{share(row['recall'])}%, {percent(row['abstained'])}" for row in found.values())
        yield [name, str(one["contexts"]["questions"]), *cells]


def main() -> None:
    """Write the page, and the README's table, as the command line says."""
    parser = argparse.ArgumentParser(prog="benchmarks.quality.rendering", description=__doc__.split("\n\n")[0])
    parser.add_argument("reports", nargs="+", type=Path, help="files that were written with `--json`")
    parser.add_argument("--page", type=Path, help="write the page there")
    parser.add_argument("--readme", type=Path, help="put the table of figures there")
    arguments = parser.parse_args()
    report = together([json.loads(file.read_bytes()) for file in arguments.reports])
    try:
        if arguments.page:
            arguments.page.write_text(render(report))
        if arguments.readme:
            arguments.readme.write_text(with_figures(arguments.readme.read_text(), report))
    except MissingError as error:
        parser.error(str(error))


def together(reports: Sequence[Figures]) -> dict[str, Any]:
    """Return several reports as one, which names all places where they were measured."""
    merged = {name: figures for report in reports for name, figures in report.items()}
    places = dict.fromkeys(str(report["place"]) for report in reports if "place" in report)
    return merged | {"place": "; and ".join(places)}


if __name__ == "__main__":
    main()
