"""The ranking's features are one list: what is added there is ranked by, shown, fitted, stored and documented."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from unit.judged_questions import SCALE, drawn, order_of
from unit.stored import NOON, stored

from docs.export import features_page
from memstream.retriever.asking import read_question
from memstream.retriever.ranking import (
    CLUES,
    DOUBTS,
    FEATURES,
    MODEL_SCORES,
    OTHER_SIGNALS,
    SCORES,
    Calibration,
    Feature,
    RankingModel,
    calibration_of,
    fit,
    matrix_of_signals,
    rank,
    read_calibrations,
    shipped_calibration,
    unfitted,
    write_calibrations,
)
from memstream.retriever.ranking.features import available
from memstream.runtime.errors import ConfigurationError
from memstream.vectors.store import Candidates

LOUD = Feature(
    name="loud",
    meaning="1 if it ends with an exclamation mark.",
    hidden_when="if it does not",
    formula=lambda columns: np.array([float(message.text.endswith("!")) for message in columns.messages]),
)
ADDED = (*FEATURES, LOUD)
NAMED = [
    *((doubt.name, doubt.meaning) for doubt in DOUBTS),
    *((clue.name, clue.meaning) for clue in CLUES),
    *((signal.name, signal.meaning) for signal in OTHER_SIGNALS),
]
CANDIDATES = Candidates(
    {"1": stored("quiet", "Bread."), "2": stored("loud", "Bread!")}, {"1": 0.5, "2": 0.4}, {"1": 1.0, "2": 1.0}, 100
)


def calibration(loud: float) -> Calibration:
    """Return the default calibration with a coefficient for what was added."""
    shipped = calibration_of("none")
    models = {
        name: replace(
            getattr(shipped, name),
            ordering=available(scores, ADDED),
            order={**getattr(shipped, name).order, "loud": loud},
        )
        for name, scores in MODEL_SCORES.items()
    }
    return replace(shipped, **models)


def ranked(loud: float) -> dict[str, dict[str, float]]:
    """Return the signals of the candidates, the most relevant first."""
    hits = rank(CANDIDATES, "hybrid", calibration(loud), question=read_question("Who bakes?", NOON), limit=9)
    return {hit.message.message_id: dict(hit.signals) for hit in hits}


def test_an_added_feature_is_ranked_by_and_shown_where_it_applies() -> None:
    assert list(ranked(0.0)) == ["quiet", "loud"]
    assert list(ranked(5.0)) == ["loud", "quiet"]
    assert {name: signals.get("loud") for name, signals in ranked(5.0).items()} == {"loud": 1.0, "quiet": None}


def test_an_added_feature_has_a_row_in_the_matrix() -> None:
    matrix = matrix_of_signals(calibration(5.0).both.features, [{"loud": 1.0}, {}], SCALE)

    assert matrix[len(FEATURES)].tolist() == [1.0, 0.0]
    assert len(matrix) == len(ADDED) + len(DOUBTS)


def test_an_added_feature_is_fitted() -> None:
    truth = order_of(("dense",), ADDED, dense=3.0, loud=2.0)
    questions = drawn(truth, 600)

    assert fit(questions, ("dense",), scale=SCALE, features=ADDED).order["loud"] == pytest.approx(2.0, rel=0.25)
    without = fit(questions, ("dense",), scale=SCALE, without=("loud",), features=ADDED)
    assert without.order["loud"] == 0.0
    assert [feature.name for feature in without.ordering] == [one.name for one in ADDED if one.name != "keyword"]


def test_a_fit_needs_no_coefficients_of_what_is_added() -> None:
    assert unfitted(SCALE, ADDED).both.order == {one.name: float(one.name in SCORES) for one in ADDED}


def test_an_added_feature_has_a_coefficient_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "calibrations.json"
    write_calibrations(file, {"a": calibration(5.0)})

    assert json.loads(file.read_text())["a"]["keyword"]["order"]["loud"] == 5.0
    assert read_calibrations(file, ADDED) == {"a": calibration(5.0)}


def test_a_feature_without_a_coefficient_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"shipped coefficients\.json: both\.order\.loud: it is missing"):
        shipped_calibration("none", ADDED)


def test_a_coefficient_without_a_feature_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"both\.order\.time: nothing that the model is made of has this name"):
        shipped_calibration("none", FEATURES[:-1])


def test_an_added_feature_is_documented() -> None:
    row = "| `loud` | 1 if it ends with an exclamation mark. | if it does not | — |"

    assert row in features_page(ADDED)
    assert row not in features_page(FEATURES)


def test_doubts_clues_and_other_signals_are_documented() -> None:
    page = features_page(FEATURES)

    for name, meaning in NAMED:
        assert f"| `{name}` | {meaning} |" in page


def test_whatever_has_a_coefficient_or_is_shown_has_a_name_of_its_own() -> None:
    names = [*(feature.name for feature in FEATURES), *(name for name, _ in NAMED)]

    assert len(set(names)) == len(names)


def test_each_score_is_a_feature_that_needs_it() -> None:
    assert {feature.name: feature.needs for feature in FEATURES if feature.needs} == {
        score: frozenset({score}) for score in SCORES
    }


def test_doubts_need_no_score() -> None:
    assert all(not doubt.needs and doubt.adjustment is None for doubt in DOUBTS)


def test_a_models_rows_are_its_features_and_then_the_doubts() -> None:
    model: RankingModel = calibration_of("none").keyword

    assert [one.name for one in model.features] == [one.name for one in (*FEATURES, *DOUBTS) if one.name != "dense"]
