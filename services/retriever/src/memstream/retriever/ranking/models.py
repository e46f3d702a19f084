"""How features become a relevance: the probability that a message is relevant to a question. Pure.

A cosine or a BM25 score says little by itself: what is high in one embedding space is noise in another. A calibration
is a logistic regression from the features to "this message is evidence for that question", fitted to judged questions,
one for each combination of available scores. So a relevance of 0.7 means the same whichever mode found the message.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from memstream.retriever.ranking.features import FEATURES, SCORES, Feature, available
from memstream.retriever.ranking.scores import Floats, Score

INTERCEPT = "intercept"


@dataclass(frozen=True, slots=True)
class LinearModel:
    """Log odds that are linear in the features."""

    intercept: float
    coefficients: Mapping[str, float]
    """By feature name; only of `features`."""
    features: Sequence[Feature]
    """Those that are computable from the scores that the model is for."""
    _weights: Floats = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Arrange the coefficients as a column, in the order of the features."""
        weights = [self.coefficients[feature.name] for feature in self.features]
        object.__setattr__(self, "_weights", np.array(weights, np.float64).reshape(-1, 1))

    def log_odds(self, matrix: Floats) -> Floats:
        """Return the log odds of each candidate, a column of the design matrix."""
        # The product of matrix and weights, but not by `@`: how that rounds depends on where in the matrix a candidate
        # stands, so candidates with equal features would differ in the last digit, and be ordered by that.
        log_odds: Floats = np.add.reduce(self._weights * matrix, axis=0, initial=self.intercept)
        return log_odds

    def combined_scores(self, adjusted: Mapping[Score, Floats]) -> Floats:
        """Return messages' scores combined into one: as cosines, with BM25 brought to their scale, or as BM25 alone."""
        dense, keyword = (self.coefficients.get(score, 0.0) for score in SCORES)
        if "dense" not in adjusted or not dense:
            return adjusted["keyword"] if "keyword" in adjusted else np.zeros_like(adjusted["dense"])
        if "keyword" not in adjusted:
            return adjusted["dense"]
        return adjusted["dense"] + keyword / dense * adjusted["keyword"]

    def as_dict(self) -> dict[str, float]:
        """Return the intercept and the coefficients by name."""
        return {INTERCEPT: self.intercept, **self.coefficients}


@dataclass(frozen=True, slots=True)
class Calibration:
    """The models of an embedding space, by the available scores."""

    both: LinearModel
    dense: LinearModel
    keyword: LinearModel
    is_default: bool = field(default=False, compare=False)
    """Whether it stands in for the calibration of a space that has none of its own."""

    def model(self, *, dense: bool, keyword: bool) -> LinearModel:
        """Return the model for the available scores."""
        if not dense:
            return self.keyword
        return self.both if keyword else self.dense


MODEL_SCORES: Mapping[str, tuple[Score, ...]] = {"both": SCORES, "dense": ("dense",), "keyword": ("keyword",)}
"""The scores that each model of a calibration is for."""


def linear_model(
    values: Mapping[str, float], scores: Sequence[Score], features: Sequence[Feature] = FEATURES
) -> LinearModel:
    """Return the model for these scores whose `as_dict` has these values; coefficients that are missing are 0."""
    usable = available(scores, features)
    return LinearModel(values[INTERCEPT], {one.name: values.get(one.name, 0.0) for one in usable}, usable)


def probabilities(log_odds: Floats) -> Floats:
    """Return log odds as probabilities, 0..1."""
    # Far out the exponential overflows; there the result is 0 or 1 to all digits.
    return 1.0 / (1.0 + np.exp(-np.clip(log_odds, -60.0, 60.0)))
