"""Fitting a ranking model to judged questions."""

from dataclasses import replace
from itertools import pairwise
from random import Random

import numpy as np
import pytest
from unit.judged_questions import SCALE, drawn, order_of

from memstream.retriever.ranking import DOUBTS, CosineScale, JudgedCandidates, RankingModel, fit, matrix_of_signals
from memstream.retriever.ranking.models import BACKGROUND, BEHIND, CLUE_NAMES, INTERCEPT

TRUTH = order_of(dense=3.0, keyword=0.4, speaker=1.5)


def relevances(model: RankingModel, question: JudgedCandidates) -> list[float]:
    """Return the relevances that a model gives to candidates."""
    found: list[float] = model.relevances(matrix_of_signals(model.features, question.signals, SCALE)).tolist()
    return found


def contrary(questions: list[JudgedCandidates]) -> list[JudgedCandidates]:
    """Return questions in which BM25 is high where there is no evidence."""
    return [
        replace(question, signals=[{**one, "keyword": 12 - one["keyword"]} for one in question.signals])
        for question in questions
    ]


def test_coefficients_that_made_the_evidence_are_found_again() -> None:
    found = fit(drawn(TRUTH, 800), scale=SCALE).order

    assert found["dense"] == pytest.approx(TRUTH.order["dense"], rel=0.25)
    assert found["keyword"] == pytest.approx(TRUTH.order["keyword"], rel=0.25)
    assert found["speaker"] == pytest.approx(TRUTH.order["speaker"], rel=0.25)
    assert found["time"] == 0.0


def test_a_model_has_all_coefficients() -> None:
    model = fit(drawn(TRUTH, 50), scale=SCALE)

    assert model.order.keys() == {feature.name for feature in model.ordering}
    assert model.relevance.keys() == {INTERCEPT, BEHIND, BACKGROUND, *CLUE_NAMES}


def test_a_relevance_is_the_share_of_evidence() -> None:
    truth = {INTERCEPT: 0.5, BEHIND: 1.0, BACKGROUND: 0.0, "lead": 1.0, "first_cosine": 2.0}
    made = replace(TRUTH, relevance=dict.fromkeys(CLUE_NAMES, 0.0) | truth)
    chance = Random(11)  # noqa: S311 - a seeded sample, not a secret
    mine, others = (
        [
            replace(question, is_evidence=[chance.random() < one for one in relevances(made, question)])
            for question in drawn(TRUTH, 1000, seed=seed)
        ]
        for seed in (1, 2)
    )

    model = fit(mine, scale=SCALE)

    found = np.concatenate([relevances(model, question) for question in others])
    labels = np.concatenate([question.is_evidence for question in others])
    for low, high in pairwise((0.0, 0.1, 0.2, 0.4, 0.6, 1.0)):
        inside = (found >= low) & (found < high)
        assert inside.sum() > 100
        assert found[inside].mean() == pytest.approx(labels[inside].mean(), abs=0.04)


def test_questions_without_an_answer_teach_when_to_doubt() -> None:
    asked = drawn(TRUTH, 300, strangers=300)
    model, unaware = fit(asked, scale=SCALE), fit(asked[:300], scale=SCALE)

    assert model.relevance["unknown_names"] < 0.0 == unaware.relevance["unknown_names"]
    assert model.order == unaware.order
    for stranger in asked[300:310]:
        assert max(relevances(model, stranger)) < max(relevances(unaware, stranger))


def test_questions_without_an_answer_weigh_as_much_as_those_with_one() -> None:
    asked = drawn(TRUTH, 200, strangers=100)
    heavier = [replace(question, weight=question.weight if question.is_answerable else 5.0) for question in asked]

    assert fit(heavier, scale=SCALE).relevance == fit(asked, scale=SCALE).relevance


def test_a_question_counts_by_its_weight() -> None:
    asked = drawn(TRUTH, 60, strangers=20)
    first, rest = asked[:30], asked[30:]

    heavier = fit([*(replace(one, weight=2.0) for one in first), *rest], scale=SCALE).order

    assert heavier == pytest.approx(fit([*first, *asked], scale=SCALE).order, abs=0.002)


def test_the_same_questions_give_the_same_coefficients() -> None:
    assert fit(drawn(TRUTH, 50), scale=SCALE) == fit(drawn(TRUTH, 50), scale=SCALE)


def test_the_same_questions_in_another_space_give_the_same_coefficients() -> None:
    asked = drawn(TRUTH, 100, strangers=50)
    other = [
        replace(question, signals=[{**one, "dense": 0.5 * one["dense"] + 0.3} for one in question.signals])
        for question in asked
    ]

    found, elsewhere = fit(asked, scale=SCALE), fit(other, scale=CosineScale(0.35, 0.55))

    assert elsewhere.order == pytest.approx(found.order, abs=0.002)
    assert elsewhere.relevance == pytest.approx(found.relevance, abs=0.01)


def test_a_signal_may_be_left_out() -> None:
    order = fit(drawn(TRUTH, 100), scale=SCALE, without=("speaker",)).order

    assert order["speaker"] == 0.0
    assert order["dense"] > 0.0


def test_by_keywords_alone_the_cosine_counts_for_nothing() -> None:
    model = fit(drawn(TRUTH, 100), ("keyword",), scale=SCALE)

    assert "dense" not in model.order
    assert model.relevance["first_cosine"] == model.relevance["cosine_lead"] == 0.0


@pytest.mark.parametrize("label", [True, False])
def test_questions_that_compare_nothing_are_refused(label: bool) -> None:  # noqa: FBT001 - pytest's parameter
    signals = [{"dense": 0.5, "keyword": 1.0}, {"dense": 0.1, "keyword": 1.0}]

    with pytest.raises(ValueError, match="no question"):
        fit([JudgedCandidates(signals, [label, label])], scale=SCALE)


def test_questions_that_found_nothing_are_no_part_of_a_fit() -> None:
    asked = drawn(TRUTH, 50, strangers=10)

    assert fit([JudgedCandidates([], []), *asked], scale=SCALE) == fit(asked, scale=SCALE)


def test_a_score_that_would_count_against_a_message_is_left_out() -> None:
    order = fit(contrary(drawn(TRUTH, 200)), scale=SCALE).order

    assert order["keyword"] == 0.0
    assert order["dense"] > 0.0


def test_evidence_that_no_score_tells_from_the_rest_is_refused() -> None:
    with pytest.raises(ValueError, match="no better scores"):
        fit(contrary(drawn(TRUTH, 200)), ("keyword",), scale=SCALE)
    with pytest.raises(ValueError, match="no better scores"):
        fit(drawn(order_of(dense=-3.0, keyword=-0.4), 200), scale=SCALE)


def test_what_is_behind_is_never_more_relevant_even_where_the_first_one_is_always_wrong() -> None:
    # The best of the candidates is a decoy each time: the evidence is the second.
    asked = [
        replace(question, signals=[{"dense": 0.9, "keyword": 13.0, "speaker": 1.0}, *question.signals[1:]])
        for question in drawn(TRUTH, 100)
        if not question.is_evidence[0]
    ]

    model = fit(asked, scale=SCALE)

    assert model.relevance[BEHIND] > 0.0
    for question in asked:
        assert relevances(model, question)[0] == max(relevances(model, question))


@pytest.mark.parametrize(("candidates", "place"), [(60, 30), (30, 0)])
def test_the_background_is_the_middle_of_many_candidates_or_the_last_of_few(candidates: int, place: int) -> None:
    signals = [{"dense": 0.1 + 0.4 * one / candidates} for one in range(candidates + 1)]
    evidence = [one == candidates for one in range(candidates + 1)]

    model = fit([JudgedCandidates(signals, evidence)] * 3, ("dense",), scale=SCALE)

    assert model.relevance[BACKGROUND] == pytest.approx(model.order["dense"] * place / candidates, abs=0.001)


def test_doubts_do_not_order() -> None:
    assert not {doubt.name for doubt in DOUBTS} & fit(drawn(TRUTH, 50), scale=SCALE).order.keys()
