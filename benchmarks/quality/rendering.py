"""Renders the figures of a full run as Markdown: first what was not measured, last where it was measured."""

import platform
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from benchmarks.quality.contexts import BUDGETS, KINDS
from benchmarks.quality.judging import MODES
from benchmarks.quality.left_out import ALL_FEATURES
from benchmarks.quality.left_out import SHOWN as LEFT_OUT_SHOWN
from benchmarks.quality.sets import ACROSS

Figures = Mapping[str, Any]

_SHOWN = ("recall@1", "recall@5", "recall@10", "recall@25", "recall@50", "nDCG@10", "MRR@10")
_BUDGETS = [f"{kind}, {budget}" for kind in KINDS for budget in BUDGETS]
_NO_BUDGETS = ("questions", "strangers")
_BRIEFLY = ("recall@5", "recall@10", "nDCG@10")
_PACKAGES = ("numpy", "qdrant-client", "qdrant-edge-py", "ctranslate2")
_WANTED = (
    ("locomo", "all", "recall@5", 0.69),
    ("locomo", "all", "recall@10", 0.78),
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
_OUT_OF_SET = ("AUROC", "false accepts", "AUROC, names swapped", "false accepts, names swapped")
_USED = ("error of hits at 0.1 and more", "error of first hits", "true of hits over 0.7")
_PAGE = """\
# Quality of retrieval

Written by `python -m benchmarks.quality --full --report docs/quality.md`: all messages were sent to ingest and all
questions to the retriever over HTTP, with one configuration. In brackets: 95% bootstrap intervals.

What is **not** measured:

{not_measured}

## By coefficients fitted to the other data sets

Each data set left out in turn: order and relevance fitted to the recorded candidates of the others. Calibration errors
are over bins of equally many hits.

{left_out}

## By the coefficients in use

{wanted}

## By data set and category

{categories}

## Calibration of the relevance

Expected calibration error over the hits of questions that have an answer. The modes with one score use a random sample
of at most {at_most} questions of a data set, drawn with the seed.

{errors}

Over bins of equally many hits, in mode hybrid:

{used}

## Abstention

By the best hit's relevance: questions that have an answer, compared with the same questions asked by another user.

{abstention}

## Contexts

Share of the evidence that a context with this token budget cites, and share of the questions for which it abstains; on
a random sample of at most {at_most} questions of a data set, drawn with the seed. `min_relevance: 0` never abstains.

{contexts}

The same questions asked by another user, for whom a context should abstain: as they are, and with the names of that
user's speakers put in.

{strangers}

## Held-out users

The order with coefficients that were fitted only to other users' questions, on recorded candidates; data sets with one
user are split by question. XQuAD is the English one.

{held_back}

## What each feature adds

The same without one feature, with the others fitted again: recall@5 / recall@10 / nDCG@10.

{ablation}

Measured: {place}; {model}.
"""
_NOT_MEASURED = (
    "what a chat model does with the hits and contexts; histories of months and years; speech, transcripts with errors",
    "the wording of questions in other languages than English; other embedding models than the one named below",
    "unseen conversations: the coefficients in use were fitted to these data sets, except for those left out",
)


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
    """Return a full report."""
    sets, held_back = report["sets"], report["held_back"]
    return _PAGE.format(
        not_measured="\n".join(f"- {line}." for line in _NOT_MEASURED),
        wanted=_table(["", "target", "measured", "met"], _wanted(sets)),
        categories=_table(["", "questions", *_SHOWN], _categories(sets)),
        errors=_table(["", *MODES], _errors(sets)),
        used=_table(["", *_USED], ([name, *_used(one["hybrid"]["calibration"])] for name, one in sets.items())),
        strangers=_table(["", "questions", "abstentions"], _strangers(sets)),
        left_out=_table(["", *LEFT_OUT_SHOWN, *_OUT_OF_SET, *_USED], _left_out(report["left_out"])),
        abstention=_table(["", *_ABSTENTION], _abstentions(sets)),
        contexts=_table(["", "questions", *_BUDGETS], _contexts(sets)),
        held_back=_table(["", *next(iter(held_back.values()))], _held_back(held_back)),
        ablation=_table(["", *sets], _ablation(report["ablation"], list(sets))),
        at_most=report["at_most"],
        place=report["place"],
        model=report["model"],
    )


def _table(head: Sequence[str], rows: Iterator[Sequence[str]] | Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _share(value: float) -> str:
    return f"{100 * value:.1f}"


def _measured(figures: Sequence[float]) -> str:
    mean, low, high = figures
    return f"{_share(mean)} ({100 * low:.0f}-{100 * high:.0f})"


def _verdict(*, met: bool) -> str:
    return "yes" if met else "**no**"


def _wanted(sets: Figures) -> Iterator[list[str]]:
    for name, category, measure, least in _WANTED:
        found = sets.get(name, {}).get("hybrid", {}).get("categories", {})
        # A set whose questions are of one category has no line for all of them.
        row = found.get(category) or next(iter(found.values()), None)
        if row:
            label = name if category == "all" else f"{name}, {category}"
            met = _verdict(met=row[measure][0] >= least)
            yield [label, f"{measure} ≥ {100 * least:.0f}", _measured(row[measure]), met]
    for name, one in sets.items():
        worst = max(one[mode]["calibration_error"] for mode in MODES)
        met = _verdict(met=worst <= _MOST_ERROR)
        yield [name, f"calibration error ≤ {_MOST_ERROR} in each mode", f"{worst:.3f}", met]
        if abstention := one["hybrid"]["abstention"]:
            met = _verdict(met=abstention["auroc"] >= _LEAST_AUROC)
            yield [name, f"AUROC ≥ {_LEAST_AUROC:.2f}", f"{abstention['auroc']:.3f}", met]


def _categories(sets: Figures) -> Iterator[list[str]]:
    for name, one in sets.items():
        for category, row in one["hybrid"]["categories"].items():
            label = f"**{name}**" if category == "all" else f"{name}, {category}"
            # Of all languages at once nothing is said.
            if category == "all" and any(other.startswith(ACROSS) for other in one["hybrid"]["categories"]):
                continue
            yield [label, str(row["questions"]), *(_measured(row[measure]) for measure in _SHOWN)]
        if changed := one["hybrid"].get("newest_first"):
            first = f"newest statement first: {_share(changed['share'])}%"
            yield [f"{name}, questions about changes", str(changed["questions"]), first, *([""] * (len(_SHOWN) - 1))]


def _errors(sets: Figures) -> Iterator[list[str]]:
    for name, one in sets.items():
        yield [name, *(f"{one[mode]['calibration_error']:.3f}" for mode in MODES)]


def _held_back(rows: Figures) -> Iterator[list[str]]:
    for name, row in rows.items():
        yield [name, *map(_share, row.values())]


def _abstentions(sets: Figures) -> Iterator[list[str]]:
    for name, one in sets.items():
        if abstention := one["hybrid"]["abstention"]:
            cosine = f"{_share(abstention['cosine_true_accepts'])}%, {_share(abstention['cosine_false_accepts'])}%"
            own = abstention["unanswerable_auroc"]
            yield [
                name,
                *(f"{abstention[key]:.3f}" for key in ("auroc", "cosine_auroc")),
                f"{_share(abstention['false_accepts'])}%",
                cosine,
                "" if own is None else f"{own:.3f}",
                *_swapped(abstention),
            ]


def _swapped(abstention: Figures) -> list[str]:
    auroc, accepts = abstention["swapped_auroc"], abstention["swapped_false_accepts"]
    return ["", ""] if auroc is None else [f"{auroc:.3f}", f"{_share(accepts)}%"]


def _used(calibration: Figures) -> list[str]:
    used, first, true = (calibration[key] for key in ("used_hits", "first_hits", "sure_true"))
    errors = ["" if error is None else f"{error:.3f}" for error in (used, first)]
    return [*errors, "" if true is None else f"{_share(true)}% of {calibration['sure']}"]


def _left_out(sets: Figures) -> Iterator[list[str]]:
    for name, one in sets.items():
        for label, row in one["rows"].items():
            abstention, calibration = row["abstention"], row["calibration"]
            yield [
                f"**{name}**" if label == ALL_FEATURES else f"{name}, {label}",
                *(_share(value) for value in row["measures"].values()),
                *(_told(abstention) if abstention else [""] * len(_OUT_OF_SET)),
                *(_used(calibration) if calibration else [""] * len(_USED)),
            ]


def _told(abstention: Figures) -> list[str]:
    return [f"{abstention['auroc']:.3f}", f"{_share(abstention['false_accepts'])}%", *_swapped(abstention)]


def _strangers(sets: Figures) -> Iterator[list[str]]:
    for name, one in sets.items():
        for label, row in one["contexts"]["strangers"].items():
            yield [f"{name}, {label}", str(row["questions"]), f"{100 * row['abstained']:.0f}%"]


def _contexts(sets: Figures) -> Iterator[list[str]]:
    for name, one in sets.items():
        found = {label: row for label, row in one["contexts"].items() if label not in _NO_BUDGETS}
        cells = (f"{_share(row['recall'])}%, {100 * row['abstained']:.0f}%" for row in found.values())
        yield [name, str(one["contexts"]["questions"]), *cells]


def _ablation(table: Figures, names: Sequence[str]) -> Iterator[list[str]]:
    for label, rows in table.items():
        yield [label, *(" / ".join(_share(rows[name][measure]) for measure in _BRIEFLY) for name in names)]
