"""Fitting a calibration to judged questions."""

import json
import math
from pathlib import Path
from random import Random

import numpy as np
import pytest

from memstream.retriever.ranking import (
    JudgedCandidates,
    calibration_of,
    fit,
    matrix_of_signals,
    prior_log_odds,
    probabilities,
    read_calibrations,
    shipped_calibrations,
    write_calibrations,
)
from memstream.retriever.ranking.models import LinearModel, linear_model
from memstream.retriever.ranking.scores import Floats, bm25_rarity
from memstream.runtime.errors import ConfigurationError

TRUTH = linear_model({"intercept": -6.0, "dense": 8.0, "keyword": 0.3, "speaker": 1.5}, ["dense", "keyword"])


def expected(model: LinearModel, signals: list[dict[str, float]], prior: float = 0.0) -> Floats:
    """Return the probabilities that a model gives to candidates."""
    return probabilities(model.log_odds(matrix_of_signals(model.features, signals)) + prior)


def judged(signals: list[dict[str, float]], chance: Random, prior: float = 0.0) -> JudgedCandidates:
    """Draw which candidates are evidence, as likely as `TRUTH` says."""
    return JudgedCandidates(signals, [chance.random() < one for one in expected(TRUTH, signals, prior).tolist()])


def drawn(questions: int, seed: int = 7) -> list[JudgedCandidates]:
    """Draw questions whose candidates are evidence as likely as `TRUTH` says."""
    chance = Random(seed)  # noqa: S311 - a seeded sample, not a secret
    return [
        judged(
            [
                {
                    "dense": chance.uniform(-0.2, 0.8),
                    "keyword": chance.uniform(0, 12),
                    "speaker": float(chance.random() < 0.4),
                }
                for _ in range(30)
            ],
            chance,
        )
        for _ in range(questions)
    ]


def test_coefficients_that_made_the_labels_are_found_again() -> None:
    found = fit(drawn(800)).coefficients

    assert found["dense"] == pytest.approx(TRUTH.coefficients["dense"], rel=0.25)
    assert found["keyword"] == pytest.approx(TRUTH.coefficients["keyword"], rel=0.25)
    assert found["speaker"] == pytest.approx(TRUTH.coefficients["speaker"], rel=0.25)
    assert found["time"] == 0.0


def test_the_sum_is_a_probability() -> None:
    model = fit(drawn(400))
    others = drawn(400, seed=8)
    found = expected(model, [dict(one) for question in others for one in question.signals])
    labels = np.array([label for question in others for label in question.is_evidence])

    for low in (0.0, 0.2, 0.4, 0.6, 0.8):
        inside = (found >= low) & (found < low + 0.2)
        assert found[inside].mean() == pytest.approx(labels[inside].mean(), abs=0.04)


def test_the_same_questions_give_the_same_coefficients() -> None:
    assert fit(drawn(50)) == fit(drawn(50))


def test_a_signal_may_be_left_out() -> None:
    model = fit(drawn(100), without=("speaker",)).as_dict()

    assert model["speaker"] == 0.0
    assert model["dense"] > 0.0


def test_by_keywords_alone_the_cosine_counts_for_nothing() -> None:
    assert "dense" not in fit(drawn(100), scores=("keyword",)).as_dict()


@pytest.mark.parametrize("label", [True, False])
def test_questions_that_compare_nothing_are_refused(label: bool) -> None:  # noqa: FBT001 - pytest's parameter
    with pytest.raises(ValueError, match="no question"):
        fit([JudgedCandidates([{"dense": 0.5, "keyword": 1.0}, {"dense": 0.1, "keyword": 1.0}], [label, label])])


def test_a_written_calibration_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "calibrations.json"
    mine = calibration_of("all-MiniLM-L6-v2_384_t1")
    write_calibrations(file, {"mine_3_t1": mine})

    assert read_calibrations(file) == {"mine_3_t1": mine}
    assert calibration_of("mine_3_t1", file) == mine
    assert calibration_of("all-MiniLM-L6-v2_384_t1", file) == shipped_calibrations()["all-MiniLM-L6-v2_384_t1"]


def lines(**both: float) -> str:
    """Return a file with one space, of whose model with both scores some coefficients are changed."""
    models = {name: getattr(calibration_of("none"), name).as_dict() for name in ("both", "dense", "keyword")}
    return json.dumps({"a": {**models, "both": {**models["both"], **both}}})


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "No such file"),
        ("no JSON", "the file"),
        ('{"a": {"both": {}}}', r"a\.dense"),
        ('{"a": {"both": {}, "dense": {}, "keyword": {}}}', r"a\.both\.intercept: it is missing"),
        ('{"a": {"both": {"intercept": 1}, "dense": {}, "keyword": {}}}', r"a\.both\.dense: it is missing; fit"),
        (lines(tme=1.0), r"a\.both\.tme: no ranking feature has this name"),
        (
            lines().replace('"keyword": {', '"keyword": {"dense": 1, '),
            r"a\.keyword\.dense: this feature is not computable from these scores",
        ),
        (lines(time=math.inf), r"a\.both\.time"),
    ],
)
def test_a_file_that_is_none_is_named_with_its_fault(tmp_path: Path, content: str | None, says: str) -> None:
    file = tmp_path / "calibrations.json"
    if content is not None:
        file.write_text(content)

    with pytest.raises(ConfigurationError, match=says):
        calibration_of("all-MiniLM-L6-v2_384_t1", file)


def test_a_file_of_an_earlier_release_is_read(tmp_path: Path) -> None:
    """`adjacent_turns` was called `neighbours`, and scores that are not at hand were listed with 0."""
    file = tmp_path / "calibrations.json"
    file.write_text(
        lines().replace("adjacent_turns", "neighbours").replace('"keyword": {', '"keyword": {"dense": 0.0, ')
    )

    assert read_calibrations(file) == {"a": calibration_of("none")}


def test_a_fit_may_start_without_a_features_coefficient(tmp_path: Path) -> None:
    file = tmp_path / "calibrations.json"
    file.write_text(lines().replace('"time"', '"early"'))

    assert read_calibrations(file, is_complete=False)["a"].both.as_dict()["time"] == 0.0


def test_what_a_short_history_adds_is_no_part_of_the_coefficients() -> None:
    messages = 20
    rarity = bm25_rarity(messages)
    prior = prior_log_odds(rarity)
    chance = Random(3)  # noqa: S311 - a seeded sample, not a secret
    questions = [
        judged(
            [
                {"dense": chance.uniform(-0.2, 0.8), "keyword": chance.uniform(0, 5), "rarity": rarity}
                for _ in range(messages)
            ],
            chance,
            prior,
        )
        for _ in range(1500)
    ]

    model = fit(questions)

    assert prior > 1.5
    assert model.intercept == pytest.approx(TRUTH.intercept, abs=0.5)


def test_a_score_that_would_count_against_a_message_is_left_out() -> None:
    contrary = [
        JudgedCandidates([{**one, "keyword": 12 - one["keyword"]} for one in question.signals], question.is_evidence)
        for question in drawn(200)
    ]

    model = fit(contrary).as_dict()

    assert model["keyword"] == 0.0
    assert model["dense"] > 0.0
    with pytest.raises(ValueError, match="no better scores"):
        fit(contrary, scores=("keyword",))
