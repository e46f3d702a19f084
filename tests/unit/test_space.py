"""The embedding space: its name on stored points, and the text that is embedded."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memstream.vectors.space import TEMPLATE_VERSION, EmbeddingSpace, Projection, render

DAY = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("model", "dimensions", "name"),
    [
        ("text-embedding-3-small", 1536, "text-embedding-3-small_1536_t1"),
        ("all-MiniLM-L6-v2", 384, "all-MiniLM-L6-v2_384_t1"),
        ("BAAI/bge-m3", 1024, "BAAI-bge-m3_1024_t1"),
        ("nomic-embed-text:v1.5", 768, "nomic-embed-text-v1.5_768_t1"),
    ],
)
def test_the_name_of_a_space_never_changes(model: str, dimensions: int, name: str) -> None:
    assert EmbeddingSpace(model, dimensions).vector_name == name


def test_model_dimensions_and_template_make_a_space() -> None:
    spaces = [EmbeddingSpace("a", 2), EmbeddingSpace("b", 2), EmbeddingSpace("a", 3), EmbeddingSpace("a", 2, 2)]

    assert len({space.vector_name for space in spaces}) == len(spaces)


@given(st.text(min_size=1))
def test_a_name_is_fit_for_a_url_and_a_path(model: str) -> None:
    name = EmbeddingSpace(model, 3).vector_name

    assert name.isascii()
    assert not set(name) & set("/\\ ?#%&:\0")


def test_the_template_is_the_one_of_its_version() -> None:
    assert TEMPLATE_VERSION == 1
    assert render("Hello 👍", speaker="Zoë", role="user", occurred_at=DAY) == "1 March 2026, Zoë: Hello 👍"


@pytest.mark.parametrize("speaker", [None, ""])
def test_without_a_speaker_the_role_speaks(speaker: str | None) -> None:
    assert render("Hello", speaker=speaker, role="assistant", occurred_at=DAY) == "1 March 2026, assistant: Hello"


def test_early_years_are_written_too() -> None:
    early = datetime(987, 12, 31, tzinfo=UTC)

    assert render("Hello", speaker="Ana", role="user", occurred_at=early).endswith("987, Ana: Hello")


def matrix(*rows: list[float]) -> Projection:
    """Make a projection."""
    return Projection(np.array(rows, np.float32))


def test_a_projection_turns_the_providers_vectors_into_the_stored_ones() -> None:
    space = EmbeddingSpace("a", 2, projection=matrix([1, 0, 2], [0, 1, 2]))

    assert (space.provider_dimensions, space.dimensions) == (2, 3)
    assert space.project(np.array([[1, 10]], np.float32)).tolist() == [[1, 10, 22]]


def test_without_a_projection_vectors_stay_as_they_are() -> None:
    vectors = np.array([[1, 10]], np.float32)

    assert EmbeddingSpace("a", 2).project(vectors) is vectors


def test_each_projection_and_each_pair_of_prefixes_makes_a_space_of_its_own() -> None:
    spaces = [
        EmbeddingSpace("a", 2),
        EmbeddingSpace("a", 2, projection=matrix([1, 0], [0, 1])),
        EmbeddingSpace("a", 2, projection=matrix([1, 0], [0, 2])),
        EmbeddingSpace("a", 2, prefixes=("query: ", "passage: ")),
        EmbeddingSpace("a", 2, prefixes=("", "passage: ")),
        EmbeddingSpace("a", 2, prefixes=("passage: ", "")),
    ]

    assert len({space.vector_name for space in spaces}) == len(spaces)


def test_a_query_and_a_passage_have_prefixes_of_their_own() -> None:
    space = EmbeddingSpace("a", 2, prefixes=("query: ", "passage: "))

    assert space.text_for("query", "Hi") == "query: Hi"
    assert space.text_for("passage", "Hi") == "passage: Hi"
    assert EmbeddingSpace("a", 2).text_for("query", "Hi") == "Hi"
