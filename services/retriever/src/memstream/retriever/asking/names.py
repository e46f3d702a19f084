"""Names in a question. Pure.

A name that nobody in a history has ever mentioned is a good reason to doubt that the history has the answer.
"""

import re
from collections.abc import Iterator

from memstream.vectors.segmentation import fold

_WORDS = re.compile(r"\w+")
_SENTENCE_END = re.compile(r"[.!?\u2026:]")
_MIN_LETTERS = 2
_GERMAN = "de"
_MONTHS_AND_DAYS = (
    "january february march april may june july august september october november december"
    " monday tuesday wednesday thursday friday saturday sunday"
)
_NO_NAMES = frozenset(_MONTHS_AND_DAYS.split())
"""Words that are capitalised in English and name no one."""

_MOST_NAMES = 32
"""So many names of a question count, the first ones: each is looked for in all candidates."""


def names_in(question: str, language: str) -> tuple[str, ...]:
    """Return the capitalised words of a question, each once, but for those that begin a sentence.

    They are in lower case and without accents.

    In German all nouns are capitalised, so there are none.
    """
    if language == _GERMAN:
        return ()
    found = (
        fold(match[0].lower())
        for match, gap in capitalised_words(question)
        if gap is not None and not _SENTENCE_END.search(gap) and match[0].lower() not in _NO_NAMES
    )
    return tuple(dict.fromkeys(found))[:_MOST_NAMES]


def capitalised_words(text: str) -> Iterator[tuple[re.Match[str], str | None]]:
    """Yield the capitalised words of a text, each with what stands between the word before and it; None if none does.

    It takes time in proportion to the text.
    """
    end = None
    for match in _WORDS.finditer(text):
        if is_capitalised(match[0]):
            yield match, None if end is None else text[end : match.start()]
        end = match.end()


def is_capitalised(word: str) -> bool:
    """Return whether a word of two letters or more begins with a capital."""
    return len(word) >= _MIN_LETTERS and word[0].isupper()
