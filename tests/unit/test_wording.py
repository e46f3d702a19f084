"""What the wording of a question and of a message tells."""

import re

from hypothesis import given
from hypothesis import strategies as st

from memstream.retriever.wording import beginnings, coverage, shared_phrases, spaced_words, wording_of

ascii_texts = st.text(st.characters(max_codepoint=127))


@given(ascii_texts | st.text())
def test_words_are_spaced_by_one_blank_whatever_stood_between_them(text: str) -> None:
    words = " ".join(re.findall(r"\w+", text.lower()))

    assert spaced_words(text.lower()) == f" {words} "


@given(ascii_texts | st.text())
def test_a_text_that_says_the_question_says_all_of_it(text: str) -> None:
    wording = wording_of(text)
    spaced = spaced_words(text.lower())

    assert shared_phrases(wording, spaced) == len(wording.phrases)
    assert coverage(beginnings(wording.words), spaced) == (1.0 if wording.words else 0.0)
