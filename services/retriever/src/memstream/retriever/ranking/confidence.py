"""What the best hits of a question say about whether they answer it. Pure.

The same cosine may be the answer in one history and the usual in another. So hits are judged against the question's
own other hits: an answer stands out. Where there are few others, as in a short history, what is usual stands in for
them, so that the first hit of a single message stands out from what unrelated messages would have been.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from memstream.retriever.ranking.scores import Floats

BEST = 20
"""How many of the best hits count."""

_OTHERS = slice(3, 10)
"""The hits that say what is usual for a question: behind those that may answer it too."""
_UNRELATED_COSINE = 0.0
"""On the scale that all spaces share."""
_UNRELATED_COVERAGE = 0.1
"""The partial coverage of a text about something else: some pieces of words are found by chance."""
_SHARPNESS = 0.5


@dataclass(frozen=True, slots=True)
class BestHits:
    """The best hits of a question, the best first, `BEST` at the most: an element for each."""

    scores: Floats
    """Order scores."""
    cosines: Floats | None
    """On the scale that all spaces share; None where there are none."""
    coverages: Floats
    """Partial coverages."""
    doubts: Mapping[str, float]
    """What the features in `DOUBTS` say of the first one, by name."""
    background: float
    """The order score of what has nothing to do with the question."""


@dataclass(frozen=True, slots=True)
class Clue:
    """Something that the best hits say."""

    name: str
    meaning: str
    formula: Callable[[BestHits], float]


def _lead(best: BestHits) -> float:
    behind = np.exp(_SHARPNESS * (_filled(best.scores, best.background) - best.scores[0]))
    return float(-np.log(behind.sum()) / _SHARPNESS)


def _first_cosine(best: BestHits) -> float:
    return 0.0 if best.cosines is None else float(best.cosines[0])


def _cosine_lead(best: BestHits) -> float:
    return 0.0 if best.cosines is None else _above_others(best.cosines, _UNRELATED_COSINE)


def _coverage_lead(best: BestHits) -> float:
    return _above_others(best.coverages, _UNRELATED_COVERAGE)


def _above_others(values: Floats, usual: float) -> float:
    return float(values[0] - _filled(values, usual)[_OTHERS].mean())


def _filled(values: Floats, usual: float) -> Floats:
    """Return values with what is usual in the places of hits that there are not."""
    filled = np.full(BEST, usual)
    filled[: len(values)] = values
    return filled


CLUES: tuple[Clue, ...] = (
    Clue("lead", "How far the first hit's order score is ahead of the others', weighted by their nearness.", _lead),
    Clue("first_cosine", "The first hit's cosine, on the scale that all spaces share.", _first_cosine),
    Clue("cosine_lead", "How far that is above the cosines of the hits behind.", _cosine_lead),
    Clue("first_coverage", "The first hit's partial coverage.", lambda best: float(best.coverages[0])),
    Clue("coverage_lead", "How far that is above the partial coverages of the hits behind.", _coverage_lead),
)
"""What a relevance is made of besides the features. They are the same for all hits of a question."""
