"""Fits a model's coefficients to judged questions. Pure, and the same for the same input.

In two steps. First the coefficients that order the candidates of a question best: a conditional logit (McFadden, 1974),
which asks of each question only which of its candidates is the evidence, so that questions with many or easy
candidates don't outweigh the others. Then a slope and an intercept that make the sum a log odds (Platt, 1999), over
all candidates; what ranking adds for a short history is not part of them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from memstream.retriever.ranking.features import (
    FEATURES,
    SCORES,
    Feature,
    available,
    matrix_of_signals,
    rarities_of,
)
from memstream.retriever.ranking.models import INTERCEPT, LinearModel, linear_model
from memstream.retriever.ranking.scores import Floats, Score, prior_log_odds

_RIDGE = 0.03
_STEPS = 30
_ENOUGH = 1e-6
_FARTHEST = 30.0
_TINY = 1e-9
_DIGITS = 3


@dataclass(frozen=True, slots=True)
class JudgedCandidates:
    """The candidates of a judged question: their signals, whether each is evidence, and the question's weight."""

    signals: Sequence[Mapping[str, float]]
    is_evidence: Sequence[bool]
    weight: float = 1.0


def fit(
    questions: Sequence[JudgedCandidates],
    scores: Sequence[Score] = SCORES,
    without: Sequence[str] = (),
    features: Sequence[Feature] = FEATURES,
) -> LinearModel:
    """Return the model for candidates that have these scores; the coefficients of features in `without` stay 0.

    A better score never makes a message less relevant: a score whose coefficient would say so is left out.

    Raises:
        ValueError: no question has both a candidate that is evidence and one that isn't, or no score tells them apart.

    """
    model = _fit(questions, scores, without, features)
    contrary = [name for name in scores if name not in without and model.coefficients.get(name, 0.0) <= 0.0]
    if not contrary:
        return model
    if {*contrary, *without}.issuperset(scores):
        raise ValueError("what answers a question has no better scores than what doesn't: is it the right evidence?")
    return fit(questions, scores, [*without, *contrary], features)


def _fit(
    questions: Sequence[JudgedCandidates], scores: Sequence[Score], without: Sequence[str], features: Sequence[Feature]
) -> LinearModel:
    fitted = [feature for feature in available(scores, features) if feature.name not in without]
    tables = [matrix_of_signals(fitted, question.signals).T for question in questions]
    labels = [np.array(question.is_evidence, float) for question in questions]
    weights = [question.weight for question in questions]
    mixed = [index for index, label in enumerate(labels) if 0 < label.sum() < len(label)]
    if not mixed:
        raise ValueError("no question has a candidate that is evidence, and one that isn't")
    # Coefficients are compared by the ridge, so features are brought to one scale before.
    scale = np.concatenate([tables[index] for index in mixed]).std(axis=0)
    scale[scale == 0.0] = 1.0
    order = _order([tables[i] / scale for i in mixed], [labels[i] for i in mixed], [weights[i] for i in mixed])
    shares = np.concatenate([np.full(len(label), weight) for label, weight in zip(labels, weights, strict=True)])
    sums = np.concatenate([table / scale @ order for table in tables])
    rarities = np.concatenate([rarities_of(question.signals) for question in questions])
    priors = np.array([prior_log_odds(rarity) for rarity in rarities.tolist()])
    intercept, slope = _platt(sums, np.concatenate(labels), shares, priors)
    values = {
        feature.name: round(float(slope * value), _DIGITS) for feature, value in zip(fitted, order / scale, strict=True)
    }
    return linear_model({INTERCEPT: round(intercept, _DIGITS), **values}, scores, features)


def _order(tables: Sequence[Floats], labels: Sequence[Floats], weights: Sequence[float]) -> Floats:
    """Return the coefficients of the greatest mean log likelihood of evidence among its question's candidates."""
    shares = np.array(weights) / sum(weights)

    def loss(beta: Floats) -> float:
        total = _RIDGE / 2 * float(beta @ beta)
        for table, label, share in zip(tables, labels, shares, strict=True):
            sums = table @ beta
            most = sums.max()
            total += share * float(most + np.log(np.exp(sums - most).sum()) - label @ sums / label.sum())
        return total

    def derivatives(beta: Floats) -> tuple[Floats, Floats]:
        gradient, curvature = _RIDGE * beta, _RIDGE * np.eye(len(beta))
        for table, label, share in zip(tables, labels, shares, strict=True):
            sums = table @ beta
            chances = np.exp(sums - sums.max())
            chances /= chances.sum()
            mean = chances @ table
            gradient = gradient + share * (mean - label @ table / label.sum())
            curvature += share * ((table * chances[:, None]).T @ table - np.outer(mean, mean))
        return gradient, curvature

    return _minimum(np.zeros(tables[0].shape[1]), loss, derivatives)


def _platt(sums: Floats, labels: Floats, weights: Floats, priors: Floats) -> tuple[float, float]:
    """Return intercept and slope of the logistic regression of the labels on the sums, on top of the priors."""
    columns = np.c_[np.ones(len(sums)), sums]
    shares = weights / weights.sum()

    def loss(beta: Floats) -> float:
        odds = columns @ beta + priors
        return float(shares @ (np.logaddexp(0, odds) - labels * odds))

    def derivatives(beta: Floats) -> tuple[Floats, Floats]:
        chances = 1 / (1 + np.exp(-np.clip(columns @ beta + priors, -_FARTHEST, _FARTHEST)))
        curvature = (columns * (shares * chances * (1 - chances))[:, None]).T @ columns
        return columns.T @ (shares * (chances - labels)), curvature + _TINY * np.eye(2)

    intercept, slope = _minimum(np.array([-float(sums.mean()), 1.0]), loss, derivatives)
    return float(intercept), float(slope)


def _minimum(
    beta: Floats, loss: Callable[[Floats], float], derivatives: Callable[[Floats], tuple[Floats, Floats]]
) -> Floats:
    """Return where a convex loss is least, by Newton's method; a step that goes too far is halved."""
    lowest = loss(beta)
    for _ in range(_STEPS):
        gradient, curvature = derivatives(beta)
        step = np.linalg.solve(curvature, gradient)
        while (tried := loss(beta - step)) > lowest and np.abs(step).max() > _ENOUGH:
            step = step / 2
        if tried > lowest:
            break
        beta, lowest = beta - step, tried
        if np.abs(step).max() <= _ENOUGH:
            break
    return beta
