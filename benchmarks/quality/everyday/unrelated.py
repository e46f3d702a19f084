"""Messages that have nothing to do with any case: templates whose blanks are filled by chance.

The templates are in `languages/`. They are about the weather, the garden, shops, things that are in the way, the
office, television and moods, in exclamations, sentences and longer texts. None has a word that a question is about.
"""

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from random import Random

ENGLISH = "en"
LANGUAGES = Path(__file__).with_name("languages")

_BLANK = re.compile(r"\{(\w+)\}")
_LONGER = 0.15
"""The share of texts that are several sentences."""
_SENTENCES = (2, 5)

_Templates = tuple[Sequence[str], Mapping[str, Sequence[str]]]
"""Sentences with blanks, and the words for each blank."""


def sentences(rng: Random, count: int, language: str = ENGLISH) -> list[str]:
    """Return so many unrelated texts; where another language than English is spoken, every second one is English."""
    spoken = [ENGLISH] if language == ENGLISH else [language, ENGLISH]
    return [_text(rng, _templates(spoken[place % len(spoken)])) for place in range(count)]


@cache
def _templates(language: str) -> _Templates:
    read = json.loads((LANGUAGES / f"{language}.json").read_bytes())
    return read["templates"], read["words"]


def _text(rng: Random, spoken: _Templates) -> str:
    several = rng.randint(*_SENTENCES) if rng.random() < _LONGER else 1
    return " ".join(_sentence(rng, *spoken) for _ in range(several))


def _sentence(rng: Random, templates: Sequence[str], words: Mapping[str, Sequence[str]]) -> str:
    return _BLANK.sub(lambda blank: rng.choice(words[blank[1]]), rng.choice(templates))
