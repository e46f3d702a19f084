"""Fits a calibration: logistic regression by Newton's method, each set with the same weight."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

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


def fit_calibration(samples: Sequence[Sequence[tuple[Signals, bool]]]) -> dict[str, list[float]]:
    """Give the coefficients of each combination of signals, from the samples of several sets."""
    rows = [sample for one in samples for sample in one]
    weights = np.concatenate([np.full(len(one), _SET_WEIGHT / len(one)) for one in samples])
    labels = np.array([float(label) for _, label in rows])
    dense = np.array([signals.fair_dense for signals, _ in rows])
    keyword = np.array([signals.fair_keyword for signals, _ in rows])
    combinations = {"both": np.c_[dense, keyword], "dense": np.c_[dense], "keyword": np.c_[keyword]}
    return {
        name: [round(float(value), 3) for value in fit(features, labels, weights)]
        for name, features in combinations.items()
    }
