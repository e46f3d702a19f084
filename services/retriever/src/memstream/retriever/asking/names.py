"""Names in a question. Pure.

A name that nobody in a history has ever mentioned is a good reason to doubt that the history has the answer.
"""

import re

from memstream.vectors.segmentation import fold

_WORDS = re.compile(r"\w+")
_SENTENCE_END = re.compile(r"[.!?\u2026:]\W*$")
_MIN_LETTERS = 2
_GERMAN = "de"
_MONTHS_AND_DAYS = (
    "january february march april may june july august september october november december"
    " monday tuesday wednesday thursday friday saturday sunday"
)
_NO_NAMES = frozenset(_MONTHS_AND_DAYS.split())
"""Words that are capitalised in English and name no one."""


def names_in(question: str, language: str) -> tuple[str, ...]:
    """Return the capitalised words of a question, each once, but for those that begin a sentence.

    They are in lower case and without accents.

    In German all nouns are capitalised, so there are none.
    """
    if language == _GERMAN:
        return ()
    found = []
    for match in _WORDS.finditer(question):
        word, before = match[0], question[: match.start()]
        if len(word) < _MIN_LETTERS or not word[0].isupper() or word.lower() in _NO_NAMES:
            continue
        if not _WORDS.search(before) or _SENTENCE_END.search(before):
            continue
        found.append(fold(word.lower()))
    return tuple(dict.fromkeys(found))
