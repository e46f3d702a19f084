"""Fits a calibration to recordings, and measures what each feature adds."""

from collections.abc import Mapping, Sequence

from benchmarks.quality.judging import (
    MODES,
    Recordings,
    Replayed,
    calibration_by,
    calibration_of_replayed,
    fit_model,
    fitted_to,
    held_back,
    judgements,
    mean,
    replay_all,
)
from benchmarks.quality.metrics import Judgement
from memstream.contracts.searches import Mode
from memstream.retriever.ranking import FEATURES, SCORES, Calibration

_ROUNDS = 2
"""Context scores depend on the coefficients, so the second fit sees those that the first one makes."""

SHOWN = ("recall@1", "recall@5", "recall@10", "nDCG@10")


def fit_calibration(recordings: Recordings, calibration: Calibration) -> Calibration:
    """Return a calibration fitted to the recordings, starting from another one."""
    fitted = fitted_to(recordings)
    for _ in range(_ROUNDS):
        calibration = calibration_by({mode: fit_model(replay_all(fitted, calibration, mode), mode) for mode in MODES})
    return calibration


def print_held_back(recordings: Recordings, calibration: Calibration) -> dict[str, dict[str, float]]:
    """Print and return the figures of coefficients fitted to other users' questions; print calibration errors too."""
    by_mode = {mode: replay_all(fitted_to(recordings), calibration, mode) for mode in MODES}
    sets = by_mode["hybrid"]
    print("\nby coefficients that were fitted to other users' questions alone")
    rows = _figures(sets, ())
    for name, row in rows.items():
        print(_row(name, row))
    print("\nexpected calibration error" + "".join(f"{mode:>10}" for mode in MODES))
    for name in sets:
        print(
            f"{name:26}" + "".join(f"{calibration_of_replayed(by_mode[mode][name]).all_hits:10.3f}" for mode in MODES)
        )
    return rows


def print_ablation(recordings: Recordings, calibration: Calibration) -> dict[str, dict[str, dict[str, float]]]:
    """Print and return the figures without each feature, the others fitted anew, on questions of users held back."""
    fitted = fitted_to(recordings)
    sets = replay_all(fitted, calibration, "hybrid")
    table = {"all features": _figures(sets, ())}
    names = [feature.name for feature in FEATURES]
    for name in names:
        # Without the cosine, ranking falls back to the mode of BM25 alone.
        table[f"without {name}"] = (
            _figures(replay_all(fitted, calibration, "keyword"), (), "keyword")
            if name == "dense"
            else _figures(sets, (name,))
        )
    table["dense and keyword alone"] = _figures(sets, [name for name in names if name not in SCORES])
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
        for category, part in _parts(name, list(judgements(one))).items():
            figures[category] = {measure: mean(measure, part) for measure in SHOWN}
    return figures


def _parts(name: str, judged: list[Judgement]) -> dict[str, list[Judgement]]:
    # One language's questions are the measure of a set that asks in several.
    english = [one for one in judged if one.category == "en"]
    return {name: english or judged}


def _row(label: str, row: Mapping[str, float]) -> str:
    return f"{label:34}" + "".join(f"{100 * row[measure]:12.1f}" for measure in SHOWN)
