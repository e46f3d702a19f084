"""A question, as far as its words and times go. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from memstream.retriever.asking.languages import ENGLISH
from memstream.retriever.asking.names import names_in
from memstream.retriever.asking.periods import Time, times_in
from memstream.retriever.asking.speakers import mentioned_speakers
from memstream.retriever.asking.time_words import times_in_english
from memstream.retriever.asking.wording import Wording, read_wording


@dataclass(frozen=True, slots=True)
class Question:
    """A question with what its words say about the answer, and the times that it names."""

    text: str
    wording: Wording
    times: tuple[Time, ...]
    names: tuple[str, ...]
    """Its capitalised words in lower case, but for those that begin a sentence."""

    def mentioned(self, speakers: Iterable[str]) -> frozenset[str]:
        """Return those of the speakers whom the question mentions by name."""
        return mentioned_speakers(self.text, speakers)

    def is_about_day(self, day: date) -> bool:
        """Return whether one of the times that the question names contains a day."""
        return any(time.contains(day) for time in self.times)


def read_question(text: str, now: datetime) -> Question:
    """Return a question as read at a time, which decides what "yesterday" means."""
    wording = read_wording(text)
    said = text if wording.language == ENGLISH else times_in_english(text, wording.language)
    return Question(text, wording, times_in(said, now.date()), names_in(text, wording.language))
