"""Judged questions whose evidence is drawn from known coefficients."""

from collections.abc import Sequence
from random import Random

import numpy as np

from memstream.retriever.ranking import (
    FEATURES,
    SCORES,
    CosineScale,
    Feature,
    JudgedCandidates,
    RankingModel,
    Score,
    matrix_of_signals,
)
from memstream.retriever.ranking.features import available

SCALE = CosineScale(0.1, 0.5)


def order_of(scores: Sequence[Score] = SCORES, features: Sequence[Feature] = FEATURES, **order: float) -> RankingModel:
    """Return a model that orders by these coefficients; all others are 0."""
    usable = available(scores, features)
    return RankingModel(usable, {feature.name: order.get(feature.name, 0.0) for feature in usable}, {})


def drawn(truth: RankingModel, questions: int, seed: int = 7, strangers: int = 0) -> list[JudgedCandidates]:
    """Draw questions, and which of 30 candidates is the evidence: each as likely as the model's order says.

    Of strangers, whose history has no answer, the candidates are worse.
    """
    chance = Random(seed)  # noqa: S311 - a seeded sample, not a secret
    asked = [_question(truth, chance) for _ in range(questions)]
    return asked + [_stranger(chance) for _ in range(strangers)]


def _question(truth: RankingModel, chance: Random) -> JudgedCandidates:
    signals = _signals(chance, 0.8)
    chances = np.exp(truth.order_scores(matrix_of_signals(truth.features, signals, SCALE)))
    (evidence,) = chance.choices(range(len(signals)), chances.tolist())
    return JudgedCandidates(signals, [place == evidence for place in range(len(signals))])


def _stranger(chance: Random) -> JudgedCandidates:
    signals = [{**one, "unknown_names": 0.5} for one in _signals(chance, 0.5)]
    return JudgedCandidates(signals, [False] * len(signals), is_answerable=False)


def _signals(chance: Random, most: float) -> list[dict[str, float]]:
    return [
        {
            "dense": chance.uniform(-0.2, most),
            "keyword": chance.uniform(0.0, 12.0),
            "speaker": float(chance.random() < 0.4),
            "loud": float(chance.random() < 0.3),
        }
        for _ in range(30)
    ]
