"""Fits a calibration: logistic regression by Newton's method, each set with the same weight."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from memstream.retriever.neighbours import Turn, support
from memstream.retriever.relevance import Signals

Floats = npt.NDArray[np.float64]

_RIDGE = 1e-3
_STEPS = 30
_SET_WEIGHT = 20_000.0


def fit(features: Floats, labels: Floats, weights: Floats) -> Floats:
    """Give intercept and coefficients that make the labels likeliest, with a slight ridge."""
    columns = np.c_[np.ones(len(features)), features]
    beta = np.zeros(columns.shape[1])
    for _ in range(_STEPS):
        probabilities = 1 / (1 + np.exp(-columns @ beta))
        gradient = columns.T @ (weights * (probabilities - labels)) + _RIDGE * np.r_[0, beta[1:]]
        curvature = (columns * (weights * probabilities * (1 - probabilities))[:, None]).T @ columns
        beta -= np.linalg.solve(curvature + _RIDGE * np.eye(len(beta)), gradient)
    return beta


@dataclass(frozen=True, slots=True)
class Sample:
    """A candidate of a question: its signals, its place, and whether it is evidence."""

    signals: Signals
    turn: Turn
    label: bool


def fit_calibration(sets: Sequence[Sequence[Sequence[Sample]]]) -> dict[str, list[float]]:
    """Give the coefficients for each combination of signals, from the candidates of every question of several sets.

    First each candidate's own signals are fitted; then, with what it inherits from its neighbours added, a slope and
    an intercept. Both are linear in the signals, so they come out as one set of coefficients.
    """
    questions = [question for one in sets for question in one]
    weights = np.concatenate(
        [np.full(size, _SET_WEIGHT / size) for size in (sum(len(question) for question in one) for one in sets)]
    )
    samples = [sample for question in questions for sample in question]
    labels = np.array([float(sample.label) for sample in samples])
    dense = np.array([sample.signals.fair_dense for sample in samples])
    keyword = np.array([sample.signals.fair_keyword for sample in samples])
    fitted = {}
    for name, features in {"both": np.c_[dense, keyword], "dense": np.c_[dense], "keyword": np.c_[keyword]}.items():
        own = fit(features, labels, weights)
        evidence = own[0] + features @ own[1:]
        intercept, slope = fit(np.c_[evidence + _inherited(questions, evidence)], labels, weights)
        fitted[name] = [round(float(value), 3) for value in (intercept + slope * own[0], *(slope * own[1:]))]
    return fitted


def _inherited(questions: Sequence[Sequence[Sample]], evidence: Floats) -> Floats:
    inherited: list[float] = []
    for question in questions:
        own = evidence[len(inherited) : len(inherited) + len(question)]
        inherited += support([replace(s.turn, evidence=float(e)) for s, e in zip(question, own, strict=True)])
    return np.array(inherited)
