"""How long texts are split."""

import pytest
from bpe_openai import get_encoding
from hypothesis import example, given
from hypothesis import strategies as st

from memstream.embedder.chunks import Chunker

TOKENS, OVERLAP = 24, 6
FAMILY = "👩‍👩‍👧"

chunker = Chunker(TOKENS, OVERLAP)
separate = Chunker(TOKENS, 0)
encoding = get_encoding("cl100k_base")

words = st.lists(
    st.one_of(
        st.text("abcdefg", min_size=1, max_size=12),
        st.sampled_from(
            ["\n\n", ". ", "? ", "\t", "徳川家康は", FAMILY, "Straße", "\u0301" * 5, "https://a.example/b?c=d"]
        ),
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=8),
    ),
    min_size=10,
    max_size=120,
).map(" ".join)


def count(text: str) -> int:
    """Count tokens."""
    return len(encoding.encode_ordinary(text))


def visible(text: str) -> str:
    """Leave white space out."""
    return "".join(text.split())


@given(words)
@example("x" * 3000)
@example(FAMILY * 200)
@example("a" + "\u0301" * 500)
@example("徳" * 900)
def test_every_chunk_is_within_the_token_limit(text: str) -> None:
    assert all(count(chunk) <= TOKENS for chunk in chunker.split(text))


@given(words)
@example("x" * 3000)
@example(FAMILY * 200)
def test_nothing_but_white_space_is_lost(text: str) -> None:
    assert visible("".join(separate.split(text))) == visible(text)


@given(words)
def test_with_overlap_every_chunk_is_a_piece_of_the_text_in_its_order(text: str) -> None:
    start = covered = 0
    for chunk in chunker.split(text):
        gap = len(text[covered:]) - len(text[covered:].lstrip())
        start = text.rfind(chunk, start, covered + gap + len(chunk))
        assert start >= 0, "something before this chunk is in none of them"
        covered = start + len(chunk)

    assert not visible(text[covered:])


@given(words)
def test_no_chunk_is_blank(text: str) -> None:
    assert all(chunk.strip() for chunk in chunker.split(text) if text.strip())


@pytest.mark.parametrize("text", ["ok", "  around \n", FAMILY, "a" * TOKENS, "one two three " * 6])
def test_a_short_text_is_its_only_chunk_unchanged(text: str) -> None:
    assert count(text) <= TOKENS
    assert chunker.split(text) == [text]


def test_a_text_of_more_bytes_than_the_limit_but_fewer_tokens_is_kept_whole() -> None:
    text = "internationalisation of everything " * 3
    assert len(text.encode()) > TOKENS >= count(text)

    assert chunker.split(text) == [text]


def test_a_text_is_split_between_sentences_where_there_are_some() -> None:
    sentences = [f"This is the sentence with the number {number} of all of them." for number in range(6)]

    assert separate.split(" ".join(sentences)) == sentences


def test_chunks_overlap() -> None:
    first, second = chunker.split(" ".join(f"word{number}" for number in range(30)))[:2]

    assert set(first.split()) & set(second.split())


def test_special_tokens_in_a_text_are_plain_text() -> None:
    text = "<|endoftext|> " * 30

    assert visible("".join(separate.split(text))) == visible(text)
