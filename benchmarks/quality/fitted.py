"""Fits a calibration to recordings, and says what each signal brings."""

from collections.abc import Mapping, Sequence

from benchmarks.quality.judging import (
    MODES,
    SCORES,
    Recordings,
    Replayed,
    calibration_by,
    error_of,
    fit_line,
    fitted_to,
    held_back,
    judgements,
    mean,
    replay_all,
)
from benchmarks.quality.metrics import Judgement
from memstream.contracts.searches import Mode
from memstream.retriever.ranking.relevance import CONTEXTUAL, Calibration

_ROUNDS = 2
"""What is inherited depends on the coefficients, so the second fit sees what the first one made."""

SHOWN = ("recall@1", "recall@5", "recall@10", "nDCG@10")


def fit_calibration(recordings: Recordings, calibration: Calibration) -> Calibration:
    """Fit each mode's line to the recordings, beginning from some calibration."""
    fitted = fitted_to(recordings)
    for _ in range(_ROUNDS):
        calibration = calibration_by({mode: fit_line(replay_all(fitted, calibration, mode), mode) for mode in MODES})
    return calibration


def print_held_back(recordings: Recordings, calibration: Calibration) -> dict[str, dict[str, float]]:
    """Print the figures of coefficients fitted to other users' questions, and the calibration error by mode."""
    by_mode = {mode: replay_all(fitted_to(recordings), calibration, mode) for mode in MODES}
    sets = by_mode["hybrid"]
    print("\nby coefficients that were fitted to other users' questions alone")
    rows = _figures(sets, ())
    for name, row in rows.items():
        print(_row(name, row))
    print("\nexpected calibration error" + "".join(f"{mode:>10}" for mode in MODES))
    for name in sets:
        print(f"{name:26}" + "".join(f"{error_of(by_mode[mode][name]):10.3f}" for mode in MODES))
    return rows


def print_ablation(recordings: Recordings, calibration: Calibration) -> dict[str, dict[str, dict[str, float]]]:
    """Print what is left without each signal, the others fitted anew, on questions of users held back."""
    fitted = fitted_to(recordings)
    sets = replay_all(fitted, calibration, "hybrid")
    table = {"all signals": _figures(sets, ())}
    for name in (*SCORES["hybrid"][1:], *CONTEXTUAL):
        table[f"without {name}"] = _figures(sets, (name,))
    table["without dense"] = _figures(replay_all(fitted, calibration, "keyword"), (), "keyword")
    table["dense and keyword alone"] = _figures(sets, CONTEXTUAL)
    for name in sets:
        print(f"\n{name}: questions of users held back" + "".join(f"{measure:>12}" for measure in SHOWN))
        for label, rows in table.items():
            print(_row(label, rows[name]))
    return table


def _figures(
    sets: Mapping[str, Sequence[Replayed]], without: Sequence[str], mode: Mode = "hybrid"
) -> dict[str, dict[str, float]]:
    judged = held_back(sets, mode, without)
    figures: dict[str, dict[str, float]] = {}
    for name, one in judged.items():
        told = list(judgements(one))
        for category, part in _parts(name, told).items():
            figures[category] = {measure: mean(measure, part) for measure in SHOWN}
    return figures


def _parts(name: str, told: list[Judgement]) -> dict[str, list[Judgement]]:
    # One language's questions are the measure of a set that asks in several.
    english = [one for one in told if one.category == "en"]
    return {name: english or told}


def _row(label: str, row: Mapping[str, float]) -> str:
    return f"{label:34}" + "".join(f"{100 * row[measure]:12.1f}" for measure in SHOWN)
