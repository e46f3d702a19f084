"""How far relevances are from shares of evidence, judged where they are used. Pure.

Nine in ten hits are rightly near zero, so an error over all hits says little: what users see are the first hits, and
what they set a threshold on are those that are not near zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.quality.metrics import calibration_error, equal_mass_error

_USED = 0.1
"""The least relevance of hits that somebody may use."""
_SURE = 0.7

JudgedHits = tuple[Sequence[float], Sequence[bool]]
"""The relevances of a question's hits, and whether each is evidence; in the order of the hits."""


@dataclass(frozen=True, slots=True)
class CalibrationFigures:
    """Errors of calibration over the hits of questions that have an answer. None where there is no such hit."""

    all_hits: float
    """Over bins of equal width."""
    used_hits: float | None
    """Of a relevance of 0.1 or more, over bins of equally many."""
    first_hits: float | None
    """Over bins of equally many."""
    sure: int
    """Hits of a relevance over 0.7."""
    sure_said: float | None
    """Their mean relevance."""
    sure_true: float | None
    """The share of them that is evidence."""


def calibration_figures(questions: Sequence[JudgedHits]) -> CalibrationFigures:
    """Return the figures of the hits of questions that have an answer."""
    relevances = np.array([value for values, _ in questions for value in values], float)
    labels = np.array([label for _, values in questions for label in values], bool)
    first = [(values[0], marks[0]) for values, marks in questions if len(values)]
    used, sure = relevances >= _USED, relevances > _SURE
    return CalibrationFigures(
        all_hits=calibration_error(relevances, labels),
        used_hits=equal_mass_error(relevances[used], labels[used]) if used.any() else None,
        first_hits=equal_mass_error(np.array([one for one, _ in first]), np.array([label for _, label in first], bool))
        if first
        else None,
        sure=int(sure.sum()),
        sure_said=float(relevances[sure].mean()) if sure.any() else None,
        sure_true=float(labels[sure].mean()) if sure.any() else None,
    )
