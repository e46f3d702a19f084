"""What the wording of questions and messages says, beyond their similarity. Pure.

Most patterns are English; what other languages have stands in `small_words`. Where a language has none, these patterns
match nothing, and the other features rank alone.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from memstream.retriever.asking.languages import ENGLISH, language_of, stop_words
from memstream.retriever.asking.small_words import SMALL_WORDS
from memstream.retriever.asking.time_words import states_time
from memstream.retriever.asking.words import is_pair, words_of
from memstream.vectors.segmentation import fold

_FIRST_PERSON = re.compile(r"\b(?:i|my|me|mine|i'm|i've|our|we)\b", re.IGNORECASE)
_PRESENT = re.compile(r"\b(?:is|are|am|do|does|have|has|'ve|'m|current|currently|now|latest|still)\b", re.IGNORECASE)
_PAST = re.compile(
    r"\b(?:did|was|were|had|ago|yesterday|last|before|first|passed|start|started|between)\b|\bwhen i\b", re.IGNORECASE
)
_FORMER = re.compile(
    r"\b(?:before|used? to|originally|initially|at first|former|formerly|previous|previously)\b"
    r"|\b(?:the|my|our|your|his|her|their) old\b",
    re.IGNORECASE,
)
_ASKS_ASSISTANT = re.compile(
    r"\bdid you\b|\byou(?:'ve| have)? (?:recommended|suggested|said|told|gave|advised|explained|mentioned)\b",
    re.IGNORECASE,
)
_ASKS_TIME = re.compile(
    r"\s*(?:when|which (?:day|date|month|week|year)|what (?:day|date|month|year|time)|how long)\b", re.IGNORECASE
)
_ASKS_NUMBER = re.compile(r"\bhow (?:many|much|often|long|old)\b", re.IGNORECASE)

_STATES_TIME = re.compile(
    r"\b(?:yesterday|today|tonight|tomorrow|last|next|ago|week|weekend|month|year|recently|morning|since"
    r"|monday|tuesday|wednesday|thursday|friday|saturday|sunday|summer|winter|spring|fall"
    r"|january|february|march|april|may|june|july|august|september|october|november|december"
    r"|\d{4}|\d{1,2}(?:st|nd|rd|th))\b"
)
_STATES_NUMBER = re.compile(r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|once|twice)\b")
_STATES_CHANGE = re.compile(
    r"\b(?:now|no longer|any ?more|retired|new|newly|recent|recently|lately|just|already|instead|actually|became"
    r"|updat(?:e|es|ed|ing)|chang(?:e|es|ed|ing)|switch(?:ed|ing)?|mov(?:ed|ing)|replac(?:ed|ing)|add(?:ed|ing)"
    r"|reschedul(?:e|ed|ing)|postpon(?:e|ed|ing)|extend(?:ed|ing)|adjust(?:ed|ing)?|reached|improved|grew|grown"
    r"|increas(?:e|es|ed|ing)|decreas(?:e|es|ed|ing)|reduced|raised|lowered)\b",
    re.IGNORECASE,
)

_MIN_LETTERS = 3
"""Shorter words are not content words."""
_MOST_TERMS = 128
_LONGEST_TERM = 64
"""Characters. So many terms of a question count, the first ones, and so much of each: each is looked for in the texts
of many candidates."""
_SHORTEST_STEM = 4
_LONG_WORD = 7
_FUNCTION_WORDS = (
    "a an the of in on at to for from by with and or but is are was were be been do does did have has had what which"
    " who whom whose when where why how i me my you your he she it they his her their its this that these those as"
    " about into than then there any some many much"
)
_STOP_WORDS = frozenset(_FUNCTION_WORDS.split())
_QUESTION_VERBS = (
    "mention mentioned say said tell told question questions message messages conversation conversations session"
    " sessions recommend recommended suggest suggested help want wanted ever different total across considering"
    " based use using can could should would will think thought opinion opinions discuss discussed discussing"
    " discussion talk talked talking elaborate elaborated summarize summarise summary describe described explain"
    " explained"
)
"""Words of asking and telling, which say nothing about the subject."""
_NO_CONTENT = _STOP_WORDS | frozenset(_QUESTION_VERBS.split())


@dataclass(frozen=True, slots=True)
class Wording:
    """What a question's words say about its answer."""

    is_first_person: bool
    """The question is about the person who asks: "did I", "my"; but not about what the assistant said."""
    asks_assistant: bool
    """It asks for something the assistant said: "did you recommend"."""
    is_present: bool
    """It asks how things are, not how they were."""
    is_former: bool
    """It asks how things were before they changed."""
    asks_time: bool
    asks_number: bool
    terms: tuple[str, ...]
    """The words without stop words and words of asking, each once."""
    language: str = ENGLISH
    """The code of the language that it is asked in."""


def read_wording(question: str) -> Wording:
    """Return what a question's words say about its answer."""
    language = language_of(question)
    return _read_english(question) if language == ENGLISH else _read_other(question, language)


def _read_other(question: str, language: str) -> Wording:
    folded, small = fold(question.lower()), SMALL_WORDS[language]
    words, ignored = words_of(question.lower()), stop_words(language)
    terms = [word for word in dict.fromkeys(words) if len(word) > 1]
    return Wording(
        is_first_person=bool(small.first_person.search(folded)),
        asks_assistant=False,
        is_present=False,
        is_former=False,
        asks_time=bool(small.asks_time.search(folded)),
        asks_number=bool(small.asks_number.search(folded)),
        # Some lists have nearly every verb: a question of nothing else asks for its words all the same.
        terms=_bounded(word for word in terms if word not in ignored) or _bounded(terms),
        language=language,
    )


def _read_english(question: str) -> Wording:
    words = words_of(question.lower())
    asks_assistant = bool(_ASKS_ASSISTANT.search(question))
    return Wording(
        is_first_person=bool(_FIRST_PERSON.search(question)) and not asks_assistant,
        asks_assistant=asks_assistant,
        is_present=bool(_PRESENT.search(question)) and not _PAST.search(question) and not _FORMER.search(question),
        is_former=bool(_FORMER.search(question)),
        asks_time=bool(_ASKS_TIME.match(question)),
        asks_number=bool(_ASKS_NUMBER.search(question)),
        terms=_bounded(word for word in dict.fromkeys(words) if word not in _NO_CONTENT and len(word) > 1),
    )


def _bounded(terms: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(term[:_LONGEST_TERM] for term in islice(terms, _MOST_TERMS)))


def has_requested_detail(wording: Wording, text: str) -> bool:
    """Return whether a text, in lower case, states a time or a number where the question asks for one."""
    if wording.asks_time and (
        _STATES_TIME.search(text) or (wording.language != ENGLISH and states_time(text, wording.language))
    ):
        return True
    return bool(wording.asks_number and _STATES_NUMBER.search(text))


def states_change(text: str) -> bool:
    """Return whether a text says that something is no longer as it was."""
    return bool(_STATES_CHANGE.search(text))


def content_words(text: str) -> frozenset[str]:
    """Return a text's words in lower case, without short words, stop words and words of asking."""
    words = words_of(text.lower())
    return frozenset(word for word in words if (len(word) >= _MIN_LETTERS or is_pair(word)) and word not in _NO_CONTENT)


def is_function_word(word: str) -> bool:
    """Return whether a word, in any case, is a stop word or a word of asking: it says nothing about a subject."""
    return word.lower() in _NO_CONTENT


def stems(words: Iterable[str]) -> tuple[str, ...]:
    """Return rough stems: words without their last letters, with a space before each.

    So a message that says "painted" matches a question that asks for a "painting".
    """
    return tuple(f" {word[: max(_SHORTEST_STEM, len(word) - (2 if len(word) <= _LONG_WORD else 3))]}" for word in words)
