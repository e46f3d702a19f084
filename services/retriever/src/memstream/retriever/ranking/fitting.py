"""Fits a calibration's coefficients to judged questions. Pure, and the same for the same input.

In two steps. First the coefficients that order the candidates of a question best: a conditional logit (McFadden, 1974),
which asks of each question only which of its candidates is the evidence, so that questions with many or easy
candidates don't outweigh the others. Then a slope and an intercept that make the sum a log odds (Platt, 1999), over
all candidates; what ranking adds for a small history is no part of them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from memstream.retriever.ranking.relevance import CONTEXTUAL, Linear, Signals, prior_among_rarity

Floats = npt.NDArray[np.float64]

SCORES = ("dense", "keyword")
_RIDGE = 0.03
_STEPS = 30
_ENOUGH = 1e-6
_FARTHEST = 30.0
_TINY = 1e-9


@dataclass(frozen=True, slots=True)
class Question:
    """A judged question: the signals of each of its candidates, whether each is evidence, and how much it weighs."""

    signals: Sequence[Signals]
    evidence: Sequence[bool]
    weight: float = 1.0


def fit(questions: Sequence[Question], scores: Sequence[str] = SCORES, without: Sequence[str] = ()) -> Linear:
    """Give the coefficients for candidates that have these scores; those of `without` stay 0.

    A better score never makes a message less relevant: one whose coefficient would say so is left out.

    Raises:
        ValueError: no question has both a candidate that is evidence and one that isn't, or no score tells them apart.

    """
    line = _fit(questions, scores, without)
    contrary = [name for name in scores if name not in without and getattr(line, name) <= 0.0]
    if not contrary:
        return line
    if {*contrary, *without}.issuperset(scores):
        raise ValueError("what answers a question has no better scores than what doesn't: is it the right evidence?")
    return fit(questions, scores, [*without, *contrary])


def _fit(questions: Sequence[Question], scores: Sequence[str], without: Sequence[str]) -> Linear:
    names = [name for name in (*scores, *CONTEXTUAL) if name not in without]
    tables = [features(question.signals, names) for question in questions]
    labels = [np.array(question.evidence, float) for question in questions]
    weights = [question.weight for question in questions]
    told = [place for place, label in enumerate(labels) if 0 < label.sum() < len(label)]
    if not told:
        raise ValueError("no question has a candidate that is evidence, and one that isn't")
    # Coefficients are compared by the ridge, so signals are brought to one scale before.
    scale = np.concatenate([tables[place] for place in told]).std(axis=0)
    scale[scale == 0.0] = 1.0
    order = _order([tables[p] / scale for p in told], [labels[p] for p in told], [weights[p] for p in told])
    shares = np.concatenate([np.full(len(label), weight) for label, weight in zip(labels, weights, strict=True)])
    sums = np.concatenate([table / scale @ order for table in tables])
    priors = np.array([prior_among_rarity(one.rarity) for question in questions for one in question.signals])
    intercept, slope = _platt(sums, np.concatenate(labels), shares, priors)
    values = {name: float(slope * value) for name, value in zip(names, order / scale, strict=True)}
    return Linear(**{"intercept": round(intercept, 3), **{name: round(value, 3) for name, value in values.items()}})


def features(signals: Sequence[Signals], names: Sequence[str]) -> Floats:
    """Give a row for each candidate and a column for each name; scores are the fair ones."""
    readers = [f"fair_{name}" if name in SCORES else name for name in names]
    rows = [[getattr(one, reader) for reader in readers] for one in signals]
    return np.array(rows, float).reshape(len(signals), len(names))


def _order(tables: Sequence[Floats], labels: Sequence[Floats], weights: Sequence[float]) -> Floats:
    """Maximise the mean log likelihood of the evidence among its question's candidates."""
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

    return _least(np.zeros(tables[0].shape[1]), loss, derivatives)


def _platt(sums: Floats, labels: Floats, weights: Floats, priors: Floats) -> tuple[float, float]:
    """Give intercept and slope of the logistic regression of the labels on the sums, on top of the priors."""
    columns = np.c_[np.ones(len(sums)), sums]
    shares = weights / weights.sum()

    def loss(beta: Floats) -> float:
        odds = columns @ beta + priors
        return float(shares @ (np.logaddexp(0, odds) - labels * odds))

    def derivatives(beta: Floats) -> tuple[Floats, Floats]:
        chances = 1 / (1 + np.exp(-np.clip(columns @ beta + priors, -_FARTHEST, _FARTHEST)))
        curvature = (columns * (shares * chances * (1 - chances))[:, None]).T @ columns
        return columns.T @ (shares * (chances - labels)), curvature + _TINY * np.eye(2)

    intercept, slope = _least(np.array([-float(sums.mean()), 1.0]), loss, derivatives)
    return float(intercept), float(slope)


def _least(
    beta: Floats, loss: Callable[[Floats], float], derivatives: Callable[[Floats], tuple[Floats, Floats]]
) -> Floats:
    """Find where a convex loss is least, by Newton's method; where a whole step leads past it, by a part of one."""
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


def coefficients(line: Linear) -> dict[str, float]:
    """Give a line's coefficients by name, without those that are 0."""
    return {field.name: getattr(line, field.name) for field in fields(line) if getattr(line, field.name)}
