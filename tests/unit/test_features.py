"""The ranking's features are one list: what is added there is ranked by, shown, fitted, stored and documented."""

import json
from pathlib import Path
from random import Random

import numpy as np
import pytest
from unit.stored import NOON, stored

from docs.export import features_page
from memstream.retriever.asking import read_question
from memstream.retriever.ranking import (
    FEATURES,
    MODEL_SCORES,
    OTHER_SIGNALS,
    SCORES,
    Calibration,
    Feature,
    JudgedCandidates,
    calibration_of,
    fit,
    matrix_of_signals,
    probabilities,
    rank,
    read_calibrations,
    shipped_calibrations,
    write_calibrations,
)
from memstream.retriever.ranking.models import linear_model
from memstream.runtime.errors import ConfigurationError
from memstream.vectors.store import Candidates

LOUD = Feature(
    name="loud",
    meaning="1 if it ends with an exclamation mark.",
    hidden_when="if it does not",
    formula=lambda columns: np.array([float(message.text.endswith("!")) for message in columns.messages]),
)
ADDED = (*FEATURES, LOUD)
CANDIDATES = Candidates(
    {"1": stored("quiet", "Bread."), "2": stored("loud", "Bread!")}, {"1": 0.5, "2": 0.4}, {"1": 1.0, "2": 1.0}, 100
)


def calibration(loud: float) -> Calibration:
    """Return the default calibration with a coefficient for what was added."""
    shipped = calibration_of("none")
    both, dense, keyword = (
        linear_model({**getattr(shipped, name).as_dict(), "loud": loud}, scores, ADDED)
        for name, scores in MODEL_SCORES.items()
    )
    return Calibration(both, dense, keyword)


def ranked(loud: float) -> dict[str, dict[str, float]]:
    """Return the signals of the candidates, the most relevant first."""
    hits = rank(CANDIDATES, "hybrid", calibration(loud), question=read_question("Who bakes?", NOON), limit=9)
    return {hit.message.message_id: dict(hit.signals) for hit in hits}


def test_an_added_feature_is_ranked_by_and_shown_where_it_applies() -> None:
    assert list(ranked(0.0)) == ["quiet", "loud"]
    assert list(ranked(5.0)) == ["loud", "quiet"]
    assert {name: signals.get("loud") for name, signals in ranked(5.0).items()} == {"loud": 1.0, "quiet": None}


def test_an_added_feature_is_fitted() -> None:
    chance = Random(5)  # noqa: S311 - a seeded sample, not a secret
    truth = linear_model({"intercept": -4.0, "dense": 3.0, "loud": 2.0}, ("dense",), ADDED)
    questions = []
    for _ in range(400):
        signals = [{"dense": chance.random(), "loud": float(chance.random() < 0.3)} for _ in range(20)]
        expected = probabilities(truth.log_odds(matrix_of_signals(truth.features, signals)))
        questions.append(JudgedCandidates(signals, [chance.random() < one for one in expected.tolist()]))

    fitted = fit(questions, ("dense",), features=ADDED).as_dict()

    assert fitted["loud"] == pytest.approx(2.0, rel=0.25)
    assert fit(questions, ("dense",), ("loud",), ADDED).as_dict()["loud"] == 0.0


def test_an_added_feature_has_a_coefficient_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "coefficients.json"
    write_calibrations(file, {"a": calibration(5.0)})

    assert json.loads(file.read_text())["a"]["keyword"]["loud"] == 5.0
    assert read_calibrations(file, ADDED) == {"a": calibration(5.0)}


def test_a_feature_without_a_coefficient_is_named_and_a_fit_starts_from_0() -> None:
    with pytest.raises(ConfigurationError, match=r"shipped coefficients\.json: .*\.both\.loud: it is missing"):
        shipped_calibrations(ADDED)

    for one in shipped_calibrations(ADDED, is_complete=False).values():
        assert one.both.as_dict()["loud"] == 0.0


def test_a_coefficient_without_a_feature_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"\.both\.early: no ranking feature has this name"):
        shipped_calibrations(FEATURES[:-1])


def test_an_added_feature_is_documented() -> None:
    row = "| `loud` | 1 if it ends with an exclamation mark. | if it does not | — |"

    assert row in features_page(ADDED)
    assert row not in features_page(FEATURES)


def test_every_signal_has_a_name_of_its_own() -> None:
    names = [signal.name for signal in (*FEATURES, *OTHER_SIGNALS)]

    assert len(set(names)) == len(names)


def test_each_score_is_a_feature_that_needs_it() -> None:
    assert {feature.name: feature.needs for feature in FEATURES if feature.needs} == {
        score: frozenset({score}) for score in SCORES
    }
