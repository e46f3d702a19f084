"""Judges every set by what was fitted to the others alone, and what each feature adds there.

What a feature or a coefficient is worth on the set that it was fitted to says little about anybody else. Here each set
is left out in turn: order and relevance are fitted to the recordings of the others, and all figures are of the one left
out. Beside them stand orders that need no fit: each score alone, and the two fused by their ranks.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from benchmarks.quality.calibration import CalibrationFigures
from benchmarks.quality.fitted import fit_calibration
from benchmarks.quality.judging import (
    Abstention,
    Recordings,
    Replayed,
    abstention,
    calibration_of_replayed,
    fit_model,
    fitted_to,
    judgements,
    mean,
    replay_all,
)
from benchmarks.quality.metrics import Judgement
from benchmarks.quality.replaying import Recorded
from benchmarks.quality.sets import ACROSS
from memstream.contracts.searches import Mode
from memstream.retriever.ranking import FEATURES, Calibration

SHOWN = ("hit@1", "recall@1", "recall@5", "recall@10", "precision@5", "nDCG@10", "MRR@10")
ALL_FEATURES = "all features"
_RRF_CONSTANT = 60
"""Of reciprocal rank fusion (Cormack et al., 2009)."""

Scores = Mapping[str, float]
"""The scores of some chunks, by their ids; of what is not in it, nothing is known."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """The figures of a set by what was fitted to the others."""

    measures: Mapping[str, float]
    abstention: Abstention | None = None
    calibration: CalibrationFigures | None = None
    """None for orders that are no relevance."""


def print_left_out(recordings: Recordings, start: Calibration, *, ablation: bool) -> dict[str, Any]:
    """Print and return the figures of each set by the others' coefficients; with `ablation`, without each feature too.

    Fitting begins with the context scores that the calibration `start` makes, and fits again with those of the result.

    Raises:
        ValueError: there is only one set.

    """
    if len(recordings) <= 1:
        raise ValueError("to leave one set out takes two at least")
    report: dict[str, Any] = {}
    for name, recorded in recordings.items():
        others = {other: part for other, part in recordings.items() if other != name}
        fitted = fit_calibration(others, start)
        table = judged_by(recorded, fitted)
        for label, calibration, mode in _without_each(others, fitted) if ablation else ():
            # One language's questions are enough to see what a feature adds.
            table |= {label: next(iter(judged_by(recorded, calibration, mode).values()))}
        table |= {label: _by_scores(recorded, scores) for label, scores in _UNFITTED.items()}
        _print(name, table)
        report[name] = {
            "coefficients": fitted.both.as_dict(),
            "rows": {label: asdict(row) for label, row in table.items()},
        }
    return report


def judged_by(recorded: Sequence[Recorded], calibration: Calibration, mode: Mode = "hybrid") -> dict[str, LeftOut]:
    """Return the figures of a set: of questions in the memory's language first, then of each other language."""
    replayed = replay_all({"": recorded}, calibration, mode)[""]
    languages = sorted({one.recorded.question.category for one in replayed if _is_across(one)})
    parts = {ALL_FEATURES: [one for one in replayed if not _is_across(one)]}
    parts |= {name: [one for one in replayed if one.recorded.question.category == name] for name in languages}
    return {label: _figures(part) for label, part in parts.items() if part}


def _is_across(one: Replayed) -> bool:
    return one.recorded.question.category.startswith(ACROSS)


def _figures(replayed: Sequence[Replayed]) -> LeftOut:
    ordered = [(one, np.array([hit.relevance for hit in one.ranked])) for one in replayed]
    return LeftOut(_measures(list(judgements(ordered))), abstention(replayed), calibration_of_replayed(replayed))


def _measures(judged: Sequence[Judgement]) -> dict[str, float]:
    return {measure: mean(measure, judged) for measure in SHOWN}


def _without_each(others: Recordings, fitted: Calibration) -> list[tuple[str, Calibration, Mode]]:
    """Return the calibrations without each feature, the rest fitted anew to the others' recordings."""
    sets = replay_all(fitted_to(others), fitted, "hybrid")
    found: list[tuple[str, Calibration, Mode]] = []
    for feature in FEATURES:
        label = f"without {feature.name}"
        if feature.name == "dense":
            # Without the cosine, ranking falls back to the mode of BM25 alone.
            found.append((label, fitted, "keyword"))
        else:
            found.append((label, replace(fitted, both=fit_model(sets, "hybrid", (feature.name,))), "hybrid"))
    return found


def _by_scores(recorded: Sequence[Recorded], scores: Callable[[Recorded], Scores]) -> LeftOut:
    judged = []
    for one in recorded:
        question = one.question
        if one.own and question.evidence and not question.category.startswith(ACROSS):
            labels = [message in question.evidence for message in messages_by(one, scores(one))]
            judged.append(Judgement(question.category, labels, len(question.evidence)))
    return LeftOut(_measures(judged))


def messages_by(one: Recorded, scores: Scores) -> list[str]:
    """Return the candidates' messages in the order of the scores of their best chunks."""
    order = sorted(scores, key=lambda point: (-scores[point], point))
    return list(dict.fromkeys(one.candidates.messages[point].message_id for point in order))


def fused(one: Recorded) -> Scores:
    """Return the candidates' scores by reciprocal rank fusion of the cosine and BM25, each by its own order."""
    sums: dict[str, float] = {}
    for scores in (one.candidates.dense or {}, one.candidates.keyword or {}):
        for rank, point in enumerate(sorted(scores, key=lambda point: (-scores[point], point)), start=1):
            sums[point] = sums.get(point, 0.0) + 1 / (_RRF_CONSTANT + rank)
    return sums


_UNFITTED: Mapping[str, Callable[[Recorded], Scores]] = {
    "the cosine alone": lambda one: one.candidates.dense or {},
    "BM25 alone": lambda one: one.candidates.keyword or {},
    "reciprocal rank fusion": fused,
}


def _print(name: str, table: Mapping[str, LeftOut]) -> None:
    columns = [*SHOWN, "stranger", "accepts", "swapped", "cal ≥ 0.1", "cal first", "over 0.7"]
    print(f"\n{f'{name}, fitted to the others':34}" + "".join(f"{column:>12}" for column in columns))
    for label, row in table.items():
        cells = [f"{100 * value:.1f}" for value in row.measures.values()]
        told, errors = row.abstention, row.calibration
        cells += [_number(one) for one in (told.auroc, told.false_accepts, told.swapped_auroc)] if told else [""] * 3
        cells += [_number(one) for one in (errors.used_hits, errors.first_hits, errors.sure_true)] if errors else []
        print(f"{label:34}" + "".join(f"{cell:>12}" for cell in cells))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
