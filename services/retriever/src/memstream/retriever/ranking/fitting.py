"""Fits a ranking model's coefficients to judged questions. Pure, and the same for the same input.

In two steps. First the coefficients that order the candidates of a question best: a conditional logit (McFadden, 1974),
which asks of each question only which of its candidates is the evidence, so that questions with many or easy candidates
don't outweigh the others. Then a logistic regression of whether each of the best hits is evidence, on how far it is
behind the first, and on what the best hits say together. Questions without an answer teach the second step when to
doubt.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from memstream.retriever.ranking.confidence import CLUES
from memstream.retriever.ranking.features import DOUBTS, FEATURES, SCORES, Feature, available, matrix_of_signals
from memstream.retriever.ranking.models import BACKGROUND, BEHIND, CLUE_NAMES, INTERCEPT, RankingModel
from memstream.retriever.ranking.scores import CosineScale, Floats, Score

_RIDGE = 0.03
_RELEVANCE_RIDGE = 0.001
_JUDGED_HITS = 10
"""How many of the best hits relevance is fitted to."""
_MANY = 50
"""The median order score of so many candidates or more is that of unrelated messages."""
_STEPS = 30
_ENOUGH = 1e-6
_FARTHEST = 30.0
_TINY = 1e-9
_DIGITS = 3
_LEAST_BEHIND = 0.05


@dataclass(frozen=True, slots=True)
class JudgedCandidates:
    """The candidates of a judged question: their signals, whether each is evidence, and the question's weight."""

    signals: Sequence[Mapping[str, float]]
    is_evidence: Sequence[bool]
    weight: float = 1.0
    is_answerable: bool = True
    """Whether the history has an answer; it may be none of the candidates."""


def fit(
    questions: Sequence[JudgedCandidates],
    scores: Sequence[Score] = SCORES,
    *,
    scale: CosineScale,
    without: Sequence[str] = (),
    features: Sequence[Feature] = FEATURES,
) -> RankingModel:
    """Return the model for candidates that have these scores; the coefficients of features in `without` are 0.

    A better score never makes a message less relevant: a score whose coefficient would say so is left out.

    Raises:
        ValueError: no question has both a candidate that is evidence and one that isn't, or no score tells them apart.

    """
    asked = [question for question in questions if question.signals]
    usable = available(scores, features)
    order = _fit_order(asked, usable, scale, without)
    contrary = [name for name in scores if name not in without and order.get(name, 0.0) <= 0.0]
    if {*contrary, *without}.issuperset(scores):
        raise ValueError("what answers a question has no better scores than what doesn't: is it the right evidence?")
    if contrary:
        return fit(questions, scores, scale=scale, without=[*without, *contrary], features=features)
    return _with_relevance(asked, usable, scale, order)


def _fit_order(
    questions: Sequence[JudgedCandidates], usable: Sequence[Feature], scale: CosineScale, without: Sequence[str]
) -> dict[str, float]:
    fitted = [feature for feature in usable if feature.name not in without]
    mixed = [question for question in questions if 0 < sum(question.is_evidence) < len(question.is_evidence)]
    if not mixed:
        raise ValueError("no question has a candidate that is evidence, and one that isn't")
    tables = [matrix_of_signals(fitted, question.signals, scale).T for question in mixed]
    # Coefficients are compared by the ridge, so features are brought to one scale before.
    deviations = np.concatenate(tables).std(axis=0)
    deviations[deviations == 0.0] = 1.0
    order = _order(
        [table / deviations for table in tables],
        [np.array(question.is_evidence, float) for question in mixed],
        [question.weight for question in mixed],
    )
    found = dict.fromkeys((feature.name for feature in usable), 0.0)
    names = (feature.name for feature in fitted)
    return found | {name: round(float(value), _DIGITS) for name, value in zip(names, order / deviations, strict=True)}


def _with_relevance(
    questions: Sequence[JudgedCandidates], usable: Sequence[Feature], scale: CosineScale, order: Mapping[str, float]
) -> RankingModel:
    model = RankingModel(usable, order, {})
    matrices = [matrix_of_signals(model.features, question.signals, scale) for question in questions]
    order_scores = [model.order_scores(matrix) for matrix in matrices]
    background = _background(order_scores)
    model = RankingModel(usable, order, {BACKGROUND: background})
    # Those without an answer weigh as much as those with one.
    totals = {answerable: _weight(questions, answerable=answerable) for answerable in (True, False)}
    rows, labels, weights = [], [], []
    for question, matrix, values in zip(questions, matrices, order_scores, strict=True):
        best = model.best_hits(matrix, values)
        first = np.argsort(-values, kind="stable")[:_JUDGED_HITS]
        said = [clue.formula(best) for clue in CLUES] + [best.doubts[doubt.name] for doubt in DOUBTS]
        rows.append(np.c_[values[first] - best.scores[0], np.tile(said, (len(first), 1))])
        labels.append(np.array(question.is_evidence, float)[first])
        weights.append(np.full(len(first), question.weight / totals[question.is_answerable] / len(first)))
    intercept, values = _logistic(np.concatenate(rows), np.concatenate(labels), np.concatenate(weights))
    coefficients = zip((BEHIND, *CLUE_NAMES), values.tolist(), strict=True)
    relevance = {name: round(value, _DIGITS) for name, value in coefficients}
    # What is behind is never more relevant than what is before it.
    relevance[BEHIND] = max(_LEAST_BEHIND, relevance[BEHIND])
    return RankingModel(usable, order, {INTERCEPT: round(intercept, _DIGITS), BACKGROUND: background, **relevance})


def _weight(questions: Sequence[JudgedCandidates], *, answerable: bool) -> float:
    return sum(question.weight for question in questions if question.is_answerable is answerable) or 1.0


def _background(order_scores: Sequence[Floats]) -> float:
    medians = [float(np.median(values)) for values in order_scores if len(values) >= _MANY]
    least = [float(values.min()) for values in order_scores]
    return round(float(np.median(medians or least)), _DIGITS)


def _order(tables: Sequence[Floats], labels: Sequence[Floats], weights: Sequence[float]) -> Floats:
    """Return the coefficients of the greatest mean log likelihood of evidence among its question's candidates."""
    shares = np.array(weights) / sum(weights)
    lengths = [len(label) for label in labels]
    starts = np.cumsum([0, *lengths[:-1]])
    question = np.repeat(np.arange(len(lengths)), lengths)
    table = np.concatenate(tables)
    evidence = np.concatenate([label / label.sum() for label in labels])

    def chances(beta: Floats) -> tuple[Floats, Floats, Floats]:
        sums = table @ beta
        most = np.maximum.reduceat(sums, starts)
        raised = np.exp(sums - most[question])
        totals = np.add.reduceat(raised, starts)
        return sums, most + np.log(totals), raised / totals[question]

    def loss(beta: Floats) -> float:
        sums, logarithms, _ = chances(beta)
        return float(_RIDGE / 2 * beta @ beta + shares @ (logarithms - np.add.reduceat(evidence * sums, starts)))

    def derivatives(beta: Floats) -> tuple[Floats, Floats]:
        chance = chances(beta)[2]
        weighted = shares[question] * chance
        means = np.add.reduceat(chance[:, None] * table, starts, axis=0)
        gradient = _RIDGE * beta + table.T @ (weighted - shares[question] * evidence)
        curvature = (table * weighted[:, None]).T @ table - (means * shares[:, None]).T @ means
        return gradient, curvature + _RIDGE * np.eye(len(beta))

    return _minimum(np.zeros(table.shape[1]), loss, derivatives)


def _logistic(rows: Floats, labels: Floats, weights: Floats) -> tuple[float, Floats]:
    """Return intercept and coefficients of the weighted logistic regression of the labels on the rows."""
    means, deviations = rows.mean(axis=0), rows.std(axis=0)
    deviations[deviations == 0.0] = 1.0
    columns = np.c_[np.ones(len(rows)), (rows - means) / deviations]
    shares = weights / weights.sum()
    ridge = _RELEVANCE_RIDGE * np.eye(columns.shape[1])
    ridge[0, 0] = 0.0

    def loss(beta: Floats) -> float:
        odds = columns @ beta
        return float(shares @ (np.logaddexp(0, odds) - labels * odds) + beta @ ridge @ beta / 2)

    def derivatives(beta: Floats) -> tuple[Floats, Floats]:
        chances = 1 / (1 + np.exp(-np.clip(columns @ beta, -_FARTHEST, _FARTHEST)))
        curvature = (columns * (shares * chances * (1 - chances))[:, None]).T @ columns
        return columns.T @ (shares * (chances - labels)) + ridge @ beta, curvature + ridge + _TINY * np.eye(len(beta))

    beta = _minimum(np.zeros(columns.shape[1]), loss, derivatives)
    values = beta[1:] / deviations
    return float(beta[0] - values @ means), values


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
