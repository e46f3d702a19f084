"""The language of a question, by its script and its function words. Pure.

It tells which words of time and which small words to look for. Keyword search does not depend on it.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache

from stop_words import get_stop_words

from memstream.retriever.asking.small_words import SMALL_WORDS
from memstream.vectors.segmentation import fold

ENGLISH = "en"

_LATIN_LANGUAGES = ("de", "es", "fr", "pt", "it", "nl")
_SCRIPTS = (
    ("ko", re.compile(r"[\uac00-\ud7a3]")),
    ("ja", re.compile(r"[\u3041-\u30ff]")),
    ("zh", re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")),
    ("ru", re.compile(r"[\u0400-\u04ff]{2}")),
    ("ar", re.compile(r"[\u0600-\u06ff]{2}")),
    ("hi", re.compile(r"[\u0900-\u097f]{2}")),
)
"""Kana comes before Han, for Japanese is written in both."""
_LATIN_WORDS = re.compile(r"[a-z\u00df-\u024f]+")

LANGUAGES = (ENGLISH, *_LATIN_LANGUAGES, *(language for language, _ in _SCRIPTS))
"""Languages whose questions are understood, by their codes in ISO 639-1."""


def language_of(text: str) -> str:
    """Return the code of a text's language; English if nothing tells."""
    if not text.isascii():
        for language, letters in _SCRIPTS:
            if letters.search(text):
                return language
    table = _function_words()
    evidence, rarity = Counter[str](), defaultdict[str, float](float)
    # Each word once: names that are repeated, such as Los Angeles, are no more evidence than one.
    for word in set(_LATIN_WORDS.findall(text.lower())):
        for language in (languages := table.get(word, ())):
            evidence[language] += 1
            rarity[language] += 1 / len(languages)
    folded = fold(text.lower())
    for language in _LATIN_LANGUAGES:
        # Some lists lack words of asking.
        small = SMALL_WORDS[language]
        evidence[language] += bool(small.asks_time.search(folded)) + bool(small.asks_number.search(folded))
    # Of two with as many words, the one whose words fewer others have.
    best = max(_LATIN_LANGUAGES, key=lambda language: (evidence[language], rarity[language]))
    # An accent decides between English and another language, but says nothing by itself: "the café".
    lead = evidence[best] - evidence[ENGLISH]
    return best if evidence[best] and (lead > 0 or (lead == 0 and not text.isascii())) else ENGLISH


@lru_cache(maxsize=len(LANGUAGES))
def stop_words(language: str) -> frozenset[str]:
    """Return the function words of a language, in lower case and without accents."""
    return frozenset(fold(word.lower()) for word in get_stop_words(language))


@lru_cache(maxsize=1)
def _function_words() -> Mapping[str, Sequence[str]]:
    """Return the languages in which a word is a function word."""
    table: dict[str, list[str]] = {}
    for language in (ENGLISH, *_LATIN_LANGUAGES):
        words = {word.lower() for word in get_stop_words(language)}
        # Also as they are written without accents.
        for word in words | {fold(word) for word in words}:
            table.setdefault(word, []).append(language)
    return table
