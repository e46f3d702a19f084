"""The similarity of texts, and how much of a text is embedded."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from memstream.retriever.asking import shortened
from memstream.retriever.similarity import cosines
from memstream.vectors.space import Vectors

matrices = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 8), st.integers(1, 16)),
    elements=st.one_of(st.just(0.0), st.floats(0.125, 1000, width=32), st.floats(-1000, -0.125, width=32)),
)


@given(matrices)
def test_cosines_are_symmetric_and_within_minus_one_to_one(vectors: Vectors) -> None:
    found = cosines(vectors)

    assert found.shape == (len(vectors), len(vectors))
    assert np.array_equal(found, found.T)
    assert np.abs(found).max() <= 1.0


@given(matrices)
def test_a_vector_is_like_itself_unless_it_is_zero(vectors: Vectors) -> None:
    for row, cosine in zip(vectors, np.diag(cosines(vectors)), strict=True):
        assert cosine == pytest.approx(1.0 if row.any() else 0.0, abs=1e-5)


@given(matrices, st.floats(0.125, 100, width=32))
def test_length_does_not_matter(vectors: Vectors, factor: float) -> None:
    assert cosines(vectors * np.float32(factor)) == pytest.approx(cosines(vectors), abs=1e-5)


def test_cosines_of_known_vectors() -> None:
    found = cosines(np.array([[1, 0], [0, 2], [-3, 0], [1, 1]], np.float32))

    assert found[0] == pytest.approx([1, 0, -1, 0.5**0.5])


@given(st.text(st.characters(codec="utf-8"), min_size=0, max_size=50).map(lambda text: text * 400))
def test_a_long_question_is_cut_to_8000_bytes_of_whole_characters(text: str) -> None:
    short = shortened(text)

    assert text.startswith(short)
    assert len(short.encode()) <= 8000
    assert short == text or len(short.encode()) > 8000 - 4
