"""How features become an order, and the order a relevance: the probability that a message answers a question. Pure.

A cosine or a BM25 score says little by itself: what is high in one embedding space is noise in another. So there are
two steps, each fitted to judged questions, for each combination of available scores:

- the order score of a message, linear in its features, says which candidate of a question is the most likely answer
- its relevance says how likely it is one: by how far the first hit stands out from the others and from what is usual,
  by how well it matches the question, and by how far the message is behind the first hit

So a relevance of 0.7 means the same whichever mode found the message, and never contradicts the order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from memstream.retriever.ranking.confidence import BEST, CLUES, BestHits
from memstream.retriever.ranking.features import DOUBTS, FEATURES, SCORES, Feature, available
from memstream.retriever.ranking.scores import CosineScale, Floats, Score

INTERCEPT = "intercept"
BEHIND = "behind"
"""The coefficient of how far a message's order score is behind the first hit's; 0 or more."""
BACKGROUND = "background"
"""The order score of what has nothing to do with a question: what stands in for hits that a short history lacks."""
CLUE_NAMES = (*(clue.name for clue in CLUES), *(doubt.name for doubt in DOUBTS))
"""What a relevance is made of besides: names of coefficients."""


@dataclass(frozen=True, slots=True)
class RankingModel:
    """The two steps, for one combination of available scores."""

    ordering: Sequence[Feature]
    """The features of the order: those that are computable from the scores."""
    order: Mapping[str, float]
    """The coefficient of each of them, by name."""
    relevance: Mapping[str, float]
    """`INTERCEPT`, `BEHIND`, `BACKGROUND`, and the coefficients of `CLUES` and `DOUBTS`, by name."""
    features: Sequence[Feature] = field(init=False, repr=False, compare=False)
    """What the design matrix has rows for: first those of the order, then `DOUBTS`."""
    _weights: Floats = field(init=False, repr=False, compare=False)
    _rows: Mapping[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Arrange the coefficients as a column, in the order of the features."""
        object.__setattr__(self, "features", (*self.ordering, *DOUBTS))
        weights = [self.order[feature.name] for feature in self.ordering]
        object.__setattr__(self, "_weights", np.array(weights, np.float64).reshape(-1, 1))
        object.__setattr__(self, "_rows", {feature.name: row for row, feature in enumerate(self.features)})

    def relevances(self, matrix: Floats) -> Floats:
        """Return the relevance of each candidate, a column of the design matrix."""
        scores = self.order_scores(matrix)
        best = self.best_hits(matrix, scores)
        base = self.relevance[INTERCEPT]
        base += sum(self.relevance[clue.name] * clue.formula(best) for clue in CLUES)
        base += sum(self.relevance[doubt.name] * float(best.doubts[doubt.name]) for doubt in DOUBTS)
        return probabilities(base + self.relevance[BEHIND] * (scores - best.scores[0]))

    def order_scores(self, matrix: Floats) -> Floats:
        """Return the order score of each candidate."""
        # The product of matrix and weights, but not by `@`: how that rounds depends on where in the matrix a candidate
        # stands, so candidates with equal features would differ in the last digit, and be ordered by that.
        scores: Floats = np.add.reduce(self._weights * matrix[: len(self._weights)], axis=0)
        return scores

    def best_hits(self, matrix: Floats, scores: Floats) -> BestHits:
        """Return the candidates with the best order scores."""
        best = np.argsort(-scores, kind="stable")[:BEST]
        dense = self._rows.get("dense")
        return BestHits(
            scores=scores[best],
            cosines=None if dense is None else matrix[dense, best],
            coverages=matrix[self._rows["partial_coverage"], best],
            doubts={doubt.name: float(matrix[self._rows[doubt.name], best[0]]) for doubt in DOUBTS},
            background=self.relevance[BACKGROUND],
        )


@dataclass(frozen=True, slots=True)
class Calibration:
    """The models of an embedding space, by the available scores."""

    both: RankingModel
    dense: RankingModel
    keyword: RankingModel
    scale: CosineScale
    """What cosines mean in the space."""
    is_default: bool = field(default=False, compare=False)
    """Whether its scale is that of another space, since the space's own is not known."""

    def model(self, *, dense: bool, keyword: bool) -> RankingModel:
        """Return the model for the available scores."""
        if not dense:
            return self.keyword
        return self.both if keyword else self.dense


MODEL_SCORES: Mapping[str, tuple[Score, ...]] = {"both": SCORES, "dense": ("dense",), "keyword": ("keyword",)}
"""The scores that each model of a calibration is for."""


def unfitted(scale: CosineScale, features: Sequence[Feature] = FEATURES) -> Calibration:
    """Return a calibration that nothing was fitted for: the scores alone count. A fit needs only its signals."""

    def model(scores: Sequence[Score]) -> RankingModel:
        usable = available(scores, features)
        order = {feature.name: float(feature.name in scores) for feature in usable}
        relevance = dict.fromkeys((INTERCEPT, BACKGROUND, *CLUE_NAMES), 0.0)
        return RankingModel(usable, order, relevance | {BEHIND: 1.0})

    return Calibration(**{name: model(scores) for name, scores in MODEL_SCORES.items()}, scale=scale, is_default=True)


def probabilities(log_odds: Floats) -> Floats:
    """Return log odds as probabilities, 0..1."""
    # Far out the exponential overflows; there the result is 0 or 1 to all digits.
    return 1.0 / (1.0 + np.exp(-np.clip(log_odds, -60.0, 60.0)))
