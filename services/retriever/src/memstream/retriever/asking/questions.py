"""A question, as far as its words and times go. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from memstream.retriever.asking.languages import ENGLISH
from memstream.retriever.asking.names import names_in
from memstream.retriever.asking.periods import Time, times_in
from memstream.retriever.asking.speakers import mentioned_speakers
from memstream.retriever.asking.time_words import times_in_english
from memstream.retriever.asking.wording import Wording, read_wording

_READ = 2_000
"""Characters of a question whose words are read: each is looked for in the texts of many candidates. Embeddings and
BM25 get what they take of the rest."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question with what its words say about the answer, and the times that it names."""

    text: str
    wording: Wording
    times: tuple[Time, ...]
    names: tuple[str, ...]
    """Its capitalised words in lower case, but for those that begin a sentence."""
    zone: tzinfo | None = UTC
    """The time zone of the person who asks, in which days begin and end."""

    def mentioned(self, speakers: Iterable[str]) -> frozenset[str]:
        """Return those of the speakers whom the question mentions by name."""
        return mentioned_speakers(self.text, speakers)

    def time_share(self, said: datetime) -> float:
        """Return 1 for what was said at a time that the question names, 0.5 for the day next to one, else 0."""
        day = said.astimezone(self.zone).date()
        return max((time.share(day) for time in self.times), default=0.0)


def read_question(text: str, now: datetime) -> Question:
    """Return a question as read at a time, which decides what "yesterday" means."""
    text = text[:_READ]
    wording = read_wording(text)
    said = text if wording.language == ENGLISH else times_in_english(text, wording.language)
    return Question(text, wording, times_in(said, now.date()), names_in(text, wording.language), now.tzinfo)
