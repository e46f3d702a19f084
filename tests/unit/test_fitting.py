"""Fitting a calibration to judged questions."""

from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memstream.retriever.ranking.calibrations import CALIBRATIONS, calibration_of, read_calibrations, write_calibrations
from memstream.retriever.ranking.fitting import Question, fit
from memstream.retriever.ranking.relevance import (
    Linear,
    Signals,
    prior_among,
    prior_among_rarity,
    probability,
    rarity_among,
)
from memstream.runtime.errors import ConfigurationError

TRUTH = Linear(-6.0, dense=8.0, keyword=0.3, speaker=1.5)


def drawn(questions: int, seed: int = 7) -> list[Question]:
    """Draw questions whose candidates are evidence as likely as `TRUTH` says."""
    chance = Random(seed)  # noqa: S311 - a seeded sample, not a secret
    made = []
    for _ in range(questions):
        signals = [
            Signals(chance.uniform(-0.2, 0.8), chance.uniform(0, 12), speaker=float(chance.random() < 0.4))
            for _ in range(30)
        ]
        made.append(Question(signals, [chance.random() < probability(TRUTH.evidence(one)) for one in signals]))
    return made


def test_coefficients_that_made_the_labels_are_found_again() -> None:
    found = fit(drawn(800))

    assert found.dense == pytest.approx(TRUTH.dense, rel=0.25)
    assert found.keyword == pytest.approx(TRUTH.keyword, rel=0.25)
    assert found.speaker == pytest.approx(TRUTH.speaker, rel=0.25)
    assert found.time == 0.0


def test_the_sum_is_a_probability() -> None:
    line = fit(drawn(400))
    others = drawn(400, seed=8)
    expected = np.array([probability(line.evidence(one)) for question in others for one in question.signals])
    labels = np.array([label for question in others for label in question.evidence])

    for low in (0.0, 0.2, 0.4, 0.6, 0.8):
        inside = (expected >= low) & (expected < low + 0.2)
        assert expected[inside].mean() == pytest.approx(labels[inside].mean(), abs=0.04)


def test_the_same_questions_give_the_same_coefficients() -> None:
    assert fit(drawn(50)) == fit(drawn(50))


def test_a_signal_may_be_left_out() -> None:
    line = fit(drawn(100), without=("speaker",))

    assert line.speaker == 0.0
    assert line.dense > 0.0


def test_by_keywords_alone_the_cosine_counts_for_nothing() -> None:
    assert fit(drawn(100), scores=("keyword",)).dense == 0.0


@pytest.mark.parametrize("label", [True, False])
def test_questions_that_compare_nothing_are_refused(label: bool) -> None:  # noqa: FBT001 - pytest's parameter
    with pytest.raises(ValueError, match="no question"):
        fit([Question([Signals(0.5, 1.0), Signals(0.1, 1.0)], [label, label])])


def test_a_written_calibration_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "calibrations.json"
    mine = calibration_of("all-MiniLM-L6-v2_384_t1")
    write_calibrations(file, {"mine_3_t1": mine})

    assert read_calibrations(file) == {"mine_3_t1": mine}
    assert calibration_of("mine_3_t1", file) == mine
    assert calibration_of("all-MiniLM-L6-v2_384_t1", file) == CALIBRATIONS["all-MiniLM-L6-v2_384_t1"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "No such file"),
        ("no JSON", "the file"),
        ('{"a": {"both": {}}}', "a.both.intercept"),
        ('{"a": {"both": {"intercept": 1, "tme": 1}}}', "a.both.tme"),
    ],
)
def test_a_file_that_is_none_is_named_with_its_fault(tmp_path: Path, content: str | None, says: str) -> None:
    file = tmp_path / "calibrations.json"
    if content is not None:
        file.write_text(content)

    with pytest.raises(ConfigurationError, match=says):
        calibration_of("all-MiniLM-L6-v2_384_t1", file)


def test_what_a_small_history_adds_is_no_part_of_the_coefficients() -> None:
    small = 20
    rarity, prior = rarity_among(small), prior_among(small)
    chance = Random(3)  # noqa: S311 - a seeded sample, not a secret
    questions = []
    for _ in range(1500):
        signals = [Signals(chance.uniform(-0.2, 0.8), chance.uniform(0, 5), rarity=rarity) for _ in range(small)]
        evidence = [chance.random() < probability(TRUTH.evidence(one) + prior) for one in signals]
        questions.append(Question(signals, evidence))

    line = fit(questions)

    assert prior > 1.5
    assert line.intercept == pytest.approx(TRUTH.intercept, abs=0.5)


@given(st.integers(0, 10_000))
def test_the_prior_is_told_by_the_rarity(candidates: int) -> None:
    assert prior_among_rarity(rarity_among(candidates)) == pytest.approx(prior_among(candidates))


def test_a_score_that_would_count_against_a_message_is_left_out() -> None:
    contrary = [
        Question([replace(one, keyword=12 - (one.keyword or 0.0)) for one in question.signals], question.evidence)
        for question in drawn(200)
    ]

    line = fit(contrary)

    assert line.keyword == 0.0
    assert line.dense > 0.0
    with pytest.raises(ValueError, match="no better scores"):
        fit(contrary, scores=("keyword",))
