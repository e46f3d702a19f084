"""Words of time in other languages, put into English ones that `periods` reads. Pure.

Names of months and days, "yesterday", "last week" and "three days ago" are those of dateparser, which has them from
Unicode's CLDR. Only its tables are read: importing the package takes 0.4 s, and its search is too slow for the event
loop.
"""

import importlib.util
import re
import runpy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from memstream.vectors.segmentation import fold

_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_UNITS = ("day", "week", "month", "year")

_NUMBER = r"(\d++[.,]?\d*+)"
"""How dateparser writes a number in its patterns."""
_MIN_LETTERS = 4
"""Shorter names of months and days are abbreviations, and often other words: "mar", "die"."""
_UNSPACED = frozenset({"zh", "ja", "ko"})
_INFLECTED = "ru"

_DAY_OF_MONTH = {
    "de": r"\bam (\d{1,2})\.(?!\d)",
    "es": r"\bel (?:dia )?(\d{1,2})\b(?! de\b)",
    "fr": r"\ble (\d{1,2})(?:er)?\b",
    "pt": r"\bdia (\d{1,2})\b(?! de\b)",
    "it": r"\bil (?:giorno )?(\d{1,2})\b",
    "nl": r"\b(\d{1,2})(?:e|de|ste)\b",
    "ru": r"\b(\d{1,2})(?:-?го|\s+числа)\b",  # noqa: RUF001 - Cyrillic letters
    "ar": r"\bيوم (\d{1,2})\b",
    "hi": r"\b(\d{1,2}) तारीख",
}
_LAST = {
    "de": r"letzte[nrms]?",
    "es": r"pasado",
    "fr": r"dernier",
    "pt": r"passado",
    "it": r"scorso",
    "nl": r"(?:vorige|afgelopen)",
    "ru": r"прошл\w+",
    "ar": r"الماضي",
    "hi": r"पिछले",
}
"""What makes the last May of a May, before or after its name."""

_ENGLISH_MONTH = rf"({'|'.join(_MONTHS)})"
_DATE = re.compile(
    rf"\b(\d{{1,2}})(?:\.|er|º|-?го)?\s+(?:de\s+|of\s+)?{_ENGLISH_MONTH}\b(?:\s+(?:del?\s+)?(\d{{4}})\b)?"  # noqa: RUF001 - Cyrillic letters
)
_MONTH = re.compile(rf"(?<!\d )(?<!last )\b{_ENGLISH_MONTH}\b(?:\s+(?:del?\s+)?(\d{{4}})\b)?")

_NUMBERED_DATE = re.compile(r"(?:(\d{4})\s*[年년]\s*)?(\d{1,2})\s*[月월]\s*(?:(\d{1,2})\s*[日号號일])?")
_NUMBERED_DAY = re.compile(r"(?<!\d)(\d{1,2})\s*[日号號일](?!\s*(?:前|間|전|간))")
_NUMBERED_YEAR = re.compile(r"(\d{4})\s*[年년]")
_LAST_MONTH = 12


@dataclass(frozen=True, slots=True)
class TimeWords:
    """The words of time of one language."""

    language: str
    names: re.Pattern[str]
    """Names of months and days, and phrases such as "yesterday"."""
    english: Mapping[str, str]
    """What these are in English, by their groups in the pattern."""
    past: Sequence[tuple[re.Pattern[str], str]]
    """Phrases such as "three days ago", and the unit."""
    numbers: Mapping[str, str]
    """Digits of numerals that are written as words."""

    def in_english(self, text: str) -> str:
        """Return a folded text in lower case with its words of time in English."""
        if self.language in _UNSPACED:
            text = _in_english_order(text)
        for pattern, unit in self.past:
            text = pattern.sub(partial(self._ago, unit), text)
        text = self.names.sub(lambda match: f" {self.english[str(match.lastgroup)]} ", text)
        text = re.sub(r"\s+", " ", text)
        if last := _LAST.get(self.language):
            text = re.sub(rf"\b{last} (?:im )?{_ENGLISH_MONTH}\b", r" last \1 ", text)
            text = re.sub(rf"\b{_ENGLISH_MONTH} {last}\b", r" last \1 ", text)
        text = _DATE.sub(lambda match: f" {match[1]} {match[2]} {match[3] or ''} ", text)
        text = _MONTH.sub(lambda match: f" in {match[1]} {match[2] or ''} ", text)
        if day := _DAY_OF_MONTH.get(self.language):
            text = re.sub(day + rf"(?! {_ENGLISH_MONTH})", r" the \1th ", text)
        return text

    def _ago(self, unit: str, match: re.Match[str]) -> str:
        return f" {self.numbers.get(match[1], match[1])} {unit}s ago "


def times_in_english(question: str, language: str) -> str:
    """Return a question with its words of time in English."""
    return time_words(language).in_english(fold(question.lower()))


def states_time(text: str, language: str) -> bool:
    """Return whether a text in lower case names a day, a month or a year, in this language."""
    folded = fold(text)
    return bool(time_words(language).names.search(folded) or _NUMBERED_DATE.search(folded))


@lru_cache(maxsize=16)
def time_words(language: str) -> TimeWords:
    """Return the words of time of a language other than English."""
    info = _dateparser_table(language)
    spellings = sorted(_spellings(info, language), key=lambda one: -len(one[0]))
    english = {f"g{number}": meaning for number, (_, meaning) in enumerate(spellings)}
    names = "|".join(f"(?P<g{number}>{pattern})" for number, (pattern, _) in enumerate(spellings))
    numbers = {
        fold(word): digit
        for one in info.get("simplifications") or ()
        for word, digit in one.items()
        if word.isalpha() and digit.isdecimal()
    }
    numeral = rf"(\d{{1,3}}{''.join('|' + word for word in numbers)})"
    past = [
        (re.compile(_bounded(fold(each).replace(_NUMBER, numeral), language)), unit)
        for unit in _UNITS
        for each in sorted(info["relative-type-regex"].get(rf"\1 {unit} ago", ()), key=len, reverse=True)
    ]
    return TimeWords(language, re.compile(names), english, past, numbers)


def _spellings(info: Mapping[str, Any], language: str) -> Iterator[tuple[str, str]]:
    """Yield patterns of names and phrases, and what each means in English."""
    for name in (*_MONTHS, *_WEEKDAYS):
        known = [fold(each.lower()) for each in info[name]]
        longest = max(map(len, known))
        for each in known:
            if len(each) == longest or len(each) >= _MIN_LETTERS or (language in _UNSPACED and each[1:]):
                yield _pattern(each, language), name if name in _MONTHS else f"on {name}"
    for when, phrases in info["relative-type"].items():
        meaning = _past_in_english(when)
        for each in phrases if meaning else ():
            yield _bounded(re.escape(fold(each.lower())).replace(r"\ ", r"\s*"), language), meaning


def _past_in_english(when: str) -> str:
    number, _, rest = when.partition(" ")
    unit, _, ago = rest.partition(" ")
    if ago != "ago" or unit not in _UNITS:
        return ""
    if number in "01":
        nearest = {"0": "today", "1": "yesterday"} if unit == "day" else {"0": f"this {unit}", "1": f"last {unit}"}
        return nearest[number]
    return f"{number} {unit}s ago"


def _pattern(name: str, language: str) -> str:
    if language != _INFLECTED:
        return _bounded(re.escape(name), language)
    # Names of days and months have other endings after "in" and "on".
    return _bounded(re.escape(name.rstrip("аьяй")) + r"[а-я]?", language)  # noqa: RUF001 - Cyrillic letters


def _bounded(pattern: str, language: str) -> str:
    if language in _UNSPACED:
        return pattern
    # Vowel signs belong to a word, though they are no letters. Arabic joins "in" and "and" to the word.
    before = r"(?<!\w)[وبف]?" if language == "ar" else r"(?<![\w\u0900-\u0963])"
    return rf"{before}{pattern}(?![\w\u0900-\u0963])"


def _in_english_order(text: str) -> str:
    """Return a Chinese, Japanese or Korean text with its numbered dates as in English."""

    def date(match: re.Match[str]) -> str:
        year, month, day = match.groups()
        if not 1 <= int(month) <= _LAST_MONTH:
            return match[0]
        return f" {day or ''} {_MONTHS[int(month) - 1]} {year or ''} "

    text = _NUMBERED_DATE.sub(date, text)
    text = _NUMBERED_DAY.sub(r" the \1th ", text)
    return _NUMBERED_YEAR.sub(r" \1 ", text)


def _dateparser_table(language: str) -> Mapping[str, Any]:
    spec = importlib.util.find_spec("dateparser")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("dateparser", name="dateparser")
    folder = Path(spec.submodule_search_locations[0], "data", "date_translation_data")
    table: Mapping[str, Any] = runpy.run_path(str(folder / f"{language}.py"))["info"]
    return table
