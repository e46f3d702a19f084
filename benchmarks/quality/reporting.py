"""Tables of a run."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from benchmarks.quality.calibration import CalibrationFigures
from benchmarks.quality.judging import Abstention
from benchmarks.quality.metrics import MEASURES, Judgement, interval


def print_set(
    name: str, judgements: Sequence[Judgement], calibration: CalibrationFigures, took_ms: Sequence[float] | None = None
) -> dict[str, Any]:
    """Print a set's measures by category; give them with their intervals."""
    by_category: defaultdict[str, list[Judgement]] = defaultdict(list)
    for judgement in judgements:
        by_category[judgement.category].append(judgement)
    if len(by_category) > 1:
        by_category["all"] = list(judgements)
    table: dict[str, Any] = {
        "calibration_error": calibration.all_hits,
        "calibration": asdict(calibration),
        "categories": {},
    }
    line = f"\n{name}: {len(judgements)} questions with evidence"
    if took_ms:
        p50, p99 = np.percentile(took_ms, [50, 99])
        table["took_ms"] = {"p50": p50, "p99": p99}
        line += f", p50 {p50:.1f} ms, p99 {p99:.1f} ms"
    print(line)
    print(f"  expected calibration error {described(calibration)}")
    print(f"{'':24}{'n':>6}" + "".join(f"{measure:>12}" for measure in MEASURES))
    last = "all" if "all" in by_category else next(iter(by_category))
    for category, part in sorted(by_category.items(), key=lambda item: (item[0] == "all", item[0])):
        rows = {measure: interval([one(judgement) for judgement in part]) for measure, one in MEASURES.items()}
        table["categories"][category] = {"questions": len(part), **rows}
        print(f"{category:24}{len(part):6}" + "".join(f"{100 * mean:12.1f}" for mean, _, _ in rows.values()))
    bounds = [table["categories"][last][measure][1:] for measure in MEASURES]
    print(f"{'95% interval':30}" + "".join(f"{100 * low:6.1f}-{100 * high:5.1f}" for low, high in bounds))
    return table


def described(calibration: CalibrationFigures) -> str:
    """Return the errors of calibration in a line."""
    text = f"{calibration.all_hits:.3f}"
    if calibration.used_hits is not None:
        text += f", of hits at 0.1 and more {calibration.used_hits:.3f}"
    if calibration.first_hits is not None:
        text += f", of first hits {calibration.first_hits:.3f}"
    if calibration.sure_said is not None and calibration.sure_true is not None:
        text += (f"; {calibration.sure} hits over 0.7: {calibration.sure_said:.2f} said, "
                 f"{calibration.sure_true:.2f} true")  # fmt: skip
    return text


def print_abstention(figures: Abstention) -> None:
    """Print how well the best hit tells a question that has an answer from one that has none."""
    print(f"  the same question asked as another user: AUROC {figures.auroc:.3f} "
          f"(best cosine {figures.cosine_auroc:.3f}); "
          f"at 95% true accepts {100 * figures.false_accepts:.1f}% false ones; a cosine over 0.2 accepts "
          f"{100 * figures.cosine_true_accepts:.1f}% and {100 * figures.cosine_false_accepts:.1f}%")  # fmt: skip
    if figures.unanswerable_auroc is not None:
        print(f"  against the set's own questions without an answer: AUROC {figures.unanswerable_auroc:.3f}")
    if figures.swapped_auroc is not None and figures.swapped_false_accepts is not None:
        print(f"  asked as another user, with the names of that user's speakers: AUROC {figures.swapped_auroc:.3f}; "
              f"at 95% true accepts {100 * figures.swapped_false_accepts:.1f}% false ones")  # fmt: skip
