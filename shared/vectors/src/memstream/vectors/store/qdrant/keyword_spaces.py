"""How texts become BM25 vectors. A collection has the vectors of one keyword space, those it was created with. Pure.

docs/decisions/0025 has the measurements.
"""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from memstream.vectors.segmentation import segment

_MODEL = "qdrant/bm25"
_AVERAGE_LENGTH = 32.0
"""Near the mean of chat turns, in words; documents weigh by it, queries don't."""

_LATIN_LETTER = r"[a-zA-Z\u00c0-\u024f]"
_LATIN_STEM = 6
_LONG_WORDS = re.compile(rf"({_LATIN_LETTER}{{{_LATIN_STEM}}}){_LATIN_LETTER}+")
_SCRIPTS = (
    ("russian", re.compile(r"[\u0400-\u04ff]{3}")),
    ("arabic", re.compile(r"[\u0600-\u06ff\u0750-\u077f\u08a0-\u08ff]{3}")),
    ("greek", re.compile(r"[\u0370-\u03ff\u1f00-\u1fff]{3}")),
)
"""Scripts that Qdrant can stem, and the language that stands for all that are written in each."""


@dataclass(frozen=True, slots=True)
class KeywordSpace:
    """What makes two BM25 vectors comparable: their words are cut and stemmed alike."""

    vector_name: str
    document: Callable[[str], dict[str, Any]]
    """From a text to index or to search for, to what the server makes a vector of."""


def _in_english(text: str) -> dict[str, Any]:
    return _document(text, "english")


def _in_any_script(text: str) -> dict[str, Any]:
    # Long words by their first letters: so the words of all languages in Latin script are stemmed alike, and it need
    # not be guessed which one a text is in. Guesses differ between a message and a question of two words.
    return _document(_LONG_WORDS.sub(r"\1", segment(text)), _stemmer_of(text))


def _document(text: str, language: str) -> dict[str, Any]:
    return {"text": text, "model": _MODEL, "options": {"avg_len": _AVERAGE_LENGTH, "language": language}}


def _stemmer_of(text: str) -> str:
    """Return the language of a script that a text has a word in. The English stemmer leaves other scripts alone."""
    if text.isascii():
        return "english"
    return next((language for language, letters in _SCRIPTS if letters.search(text)), "english")


ENGLISH = KeywordSpace("bm25", _in_english)
"""English words, with accents as they are written."""

ANY_SCRIPT = KeywordSpace("bm25_v2", _in_any_script)
"""Words of any script, without accents."""

_NEWEST_FIRST = (ANY_SCRIPT, ENGLISH)


def keyword_space_of(vector_names: Collection[str]) -> KeywordSpace | None:
    """Return the keyword space of a collection with these sparse vectors; None if it has none."""
    return next((space for space in _NEWEST_FIRST if space.vector_name in vector_names), None)
