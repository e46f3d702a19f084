"""What cosines mean in an embedding space, and that nothing else of a space matters to relevance."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.embedded_pairs import embedded_pairs
from unit.stored import stored

from memstream.retriever.asking import read_question
from memstream.retriever.ranking import ANSWERS, QUESTIONS, CosineScale, calibration_of, measured_scale, rank
from memstream.vectors.store import Candidates

QUESTION = read_question("Where did Ann put the spare key?", datetime(2026, 3, 9, tzinfo=UTC))
TEXTS = ("The spare key is under the pot.", "Ann has a key.", "It rained.", "Soup again, key or not.")
SCALE = CosineScale(0.1, 0.5)

cosines = st.lists(st.floats(-0.3, 0.9), min_size=1, max_size=30)
chunks = st.lists(st.integers(1, 40), min_size=30, max_size=30)


@given(st.floats(0.0, 0.5), st.floats(0.01, 0.5))
def test_the_scale_is_the_mean_cosine_of_pairs_and_that_of_all_others(unrelated: float, ahead: float) -> None:
    scale = measured_scale(*embedded_pairs(unrelated, unrelated + ahead))

    assert (scale.unrelated, scale.answering) == pytest.approx((unrelated, unrelated + ahead), abs=1e-6)


def test_the_length_of_vectors_does_not_matter() -> None:
    questions, answers = embedded_pairs(0.2, 0.6)

    scale = measured_scale(questions * np.float32(3.0), answers * np.float32(0.1))

    assert (scale.unrelated, scale.answering) == pytest.approx((0.2, 0.6), abs=1e-6)


@pytest.mark.parametrize("answering", [0.1, 0.3])
def test_a_space_in_which_answers_are_no_nearer_has_no_scale(answering: float) -> None:
    with pytest.raises(ValueError, match="no nearer to their questions"):
        measured_scale(*embedded_pairs(0.3, answering))


def test_each_question_has_one_answer() -> None:
    assert len(set(QUESTIONS)) == len(set(ANSWERS)) == len(QUESTIONS) == len(ANSWERS)


def relevances(dense: list[float], counts: list[int], scale: CosineScale, mode: str) -> dict[str, float]:
    """Return the relevances of messages that have these cosines and numbers of chunks, in their order."""
    messages = {
        str(place): stored(f"{place:02}", TEXTS[place % len(TEXTS)], chunks=count, conversation_id="chat")
        for place, (_, count) in enumerate(zip(dense, counts, strict=False))
    }
    found = Candidates(messages, {str(place): one for place, one in enumerate(dense)}, {"0": 3.0}, 100)
    calibration = replace(calibration_of("none"), scale=scale)
    hits = rank(found, "dense" if mode == "dense" else "hybrid", calibration, question=QUESTION, limit=100)
    return {hit.message.message_id: hit.relevance for hit in hits}


@given(cosines, chunks, st.floats(0.05, 1.0), st.floats(-0.2, 0.8), st.sampled_from(["dense", "hybrid"]))
def test_spaces_whose_cosines_mean_the_same_have_the_same_relevances(
    dense: list[float], counts: list[int], factor: float, more: float, mode: str
) -> None:
    other = [factor * cosine + more for cosine in dense]
    scale = CosineScale(factor * SCALE.unrelated + more, factor * SCALE.answering + more)

    assert relevances(other, counts, scale, mode) == pytest.approx(relevances(dense, counts, SCALE, mode), abs=1e-6)
