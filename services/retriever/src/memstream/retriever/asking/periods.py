"""Times in a question: "in October 2023", "last May", "on the 7th", "yesterday". Pure.

A small grammar of English, because the general parsers do not fit: measured on questions, `dateparser.search` takes 1
to 34 ms on the event loop and finds a Wednesday in "what did we do"; `parsedatetime` reads the "2023" of "in 2023" as
the time 20:23; and neither says whether a day, a month or a year was meant, which is all that matters here.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
_YEAR = r"(?P<year>(?:19|20)\d\d)\b"
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WEEKDAY = r"(?P<weekday>(?:mon|tues|wednes|thurs|fri|satur|sun)day)\b"
_NUMBERS = ("a", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_NUMBER = rf"(?P<number>\d{{1,3}}|an|{'|'.join(_NUMBERS)})"
_UNIT = r"(?P<unit>day|week|month|year)"

_A_DAY = timedelta(days=1)
_WEEK = 7
_UNIT_DAYS = {"day": 1, "week": _WEEK, "month": 30, "year": 365}
_MAX_DAYS = 365 * 100
_NEXT_TO = 0.5
_ORDINAL = r"(?:st|nd|rd|th)"
_HINT = re.compile(rf"\d|\bago\b|day\b|\b(?:last|this|week|month|year)\b|\b{_MONTH}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Period:
    """Days from the first to the last, both included."""

    first: date
    last: date

    def share(self, day: date) -> float:
        """Return 1 for a day within, 0.5 for one next to it, else 0: the speaker's time zone is not known."""
        if self.first <= day <= self.last:
            return 1.0
        return _NEXT_TO if self.first <= day + _A_DAY and day - _A_DAY <= self.last else 0.0


@dataclass(frozen=True, slots=True)
class Recurring:
    """A month of any year, a day of any month, or a day of a month of any year."""

    month: int | None
    day: int | None

    def share(self, day: date) -> float:
        """Return 1 for such a day, 0.5 for one next to such a day, else 0: the speaker's time zone is not known."""
        if self._is(day):
            return 1.0
        return _NEXT_TO if self.day is not None and (self._is(day - _A_DAY) or self._is(day + _A_DAY)) else 0.0

    def _is(self, day: date) -> bool:
        return self.month in (None, day.month) and self.day in (None, day.day)


Time = Period | Recurring
_Reading = Callable[[re.Match[str], date], Time | None]

_MOST_TIMES = 16
"""So many times of a question count: each is compared with the times of all candidates."""


def times_in(question: str, today: date) -> tuple[Time, ...]:
    """Return the times that a question names, each once; `today` is the day on which it is asked."""
    if not _HINT.search(question):
        return ()
    found: dict[Time, None] = {}
    read_times = 0
    for pattern, read in _GRAMMAR:
        while read_times < _MOST_TIMES and (match := pattern.search(question)):
            read_times += 1
            try:
                time = read(match, today)
            except (ValueError, OverflowError):
                # The 30th of February, or a thousand years ago.
                time = None
            if time is not None:
                found[time] = None
            # Each word is read once, by the first pattern that matches it.
            question = question[: match.start()] + " ; " + question[match.end() :]
    return tuple(found)


def _dated(match: re.Match[str], _: date) -> Time | None:
    parts = match.groupdict()
    year, day = (int(parts[name]) if parts.get(name) else None for name in ("year", "day"))
    month = _MONTHS.index(parts["month"][:3].lower()) + 1 if parts.get("month") else None
    if year is None:
        return Recurring(month, day)
    if month is None:
        return Period(date(year, 1, 1), date(year, 12, 31))
    return _month(year, month) if day is None else Period(date(year, month, day), date(year, month, day))


def _month(year: int, month: int) -> Period:
    after = date(year + month // 12, month % 12 + 1, 1)
    return Period(date(year, month, 1), after - _A_DAY)


def _iso(match: re.Match[str], _: date) -> Time:
    day = date.fromisoformat(match[0])
    return Period(day, day)


def _last_month(match: re.Match[str], today: date) -> Time:
    month = _MONTHS.index(match["month"][:3].lower()) + 1
    return _month(today.year if month < today.month else today.year - 1, month)


def _ago(match: re.Match[str], today: date) -> Time | None:
    word, unit = match["number"].lower(), match["unit"].lower()
    number = 1 if word == "an" else int(word) if word.isdigit() else max(1, _NUMBERS.index(word))
    if number * _UNIT_DAYS[unit] > _MAX_DAYS:
        return None
    day = today - timedelta(days=number * _UNIT_DAYS[unit])
    # "Three months ago" is no exact day.
    slack = timedelta(days=_UNIT_DAYS[unit] // 2)
    return Period(day - slack, day + slack)


def _unit(match: re.Match[str], today: date) -> Time:
    back, unit = 0 if match["which"].lower() == "this" else 1, match["unit"].lower()
    if unit == "year":
        return Period(date(today.year - back, 1, 1), date(today.year - back, 12, 31))
    if unit == "month":
        end_of_last = today.replace(day=1) - _A_DAY
        return _month(end_of_last.year, end_of_last.month) if back else _month(today.year, today.month)
    if unit == "week":
        monday = today - timedelta(days=today.weekday() + _WEEK * back)
        return Period(monday, monday + 6 * _A_DAY)
    return Period(today - back * _A_DAY, today - back * _A_DAY)


def _weekday(match: re.Match[str], today: date) -> Time:
    number = _WEEKDAYS.index(match["weekday"][:3].lower())
    day = today - timedelta(days=(today.weekday() - number - 1) % _WEEK + 1)
    return Period(day, day)


def _day(back: int) -> _Reading:
    return lambda _, today: Period(today - back * _A_DAY, today - back * _A_DAY)


def _compiled(pattern: str, flags: re.RegexFlag = re.IGNORECASE) -> re.Pattern[str]:
    return re.compile(pattern, flags)


_GRAMMAR: tuple[tuple[re.Pattern[str], _Reading], ...] = (
    (_compiled(r"\b\d{4}-\d\d-\d\d\b"), _iso),
    (_compiled(rf"\b(?P<day>\d{{1,2}}){_ORDINAL}?\s+(?:of\s+)?{_MONTH}(?:,?\s+{_YEAR})?"), _dated),
    (_compiled(rf"\b{_MONTH}\s+(?P<day>\d{{1,2}}){_ORDINAL}?\b(?:,?\s+{_YEAR})?"), _dated),
    (_compiled(rf"\b{_MONTH}\s+(?:of\s+)?{_YEAR}"), _dated),
    (_compiled(rf"\blast\s+{_MONTH}"), _last_month),
    (_compiled(rf"\b{_NUMBER}\s+{_UNIT}s?\s+ago\b"), _ago),
    (_compiled(rf"\b(?P<which>last|previous|this|yester)\s*{_UNIT}\b"), _unit),
    (_compiled(r"\b(?:today|this\s+morning|this\s+afternoon|this\s+evening|tonight)\b"), _day(0)),
    (_compiled(r"\blast\s+night\b"), _day(1)),
    (_compiled(rf"\b(?:on|last|this)\s+{_WEEKDAY}"), _weekday),
    (_compiled(rf"\bthe\s+(?P<day>\d{{1,2}}){_ORDINAL}\b"), _dated),
    # By itself "may" is mostly a verb, and "march" may be one.
    (_compiled(rf"\b(?:in|during|since|of|by)\s+{_MONTH}"), _dated),
    (_compiled(rf"\b{_YEAR}"), _dated),
)
"""The most exact patterns come first."""
