"""What a question says of its answer, and what each candidate has of that. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Self

import numpy as np

from memstream.contracts.messages import DOCUMENT
from memstream.retriever.asking.periods import Time, times_in
from memstream.retriever.asking.speakers import named_in
from memstream.retriever.asking.wording import (
    Wording,
    answers,
    beginnings,
    spaced_words,
    wording_of,
)
from memstream.retriever.ranking.coverage import coverages, spoken
from memstream.retriever.ranking.neighbours import Inherited
from memstream.retriever.ranking.relevance import BRIEF, Floats
from memstream.vectors.store import StoredMessage

READ = 64
"""So many candidates are read, those of the best scores: who is far behind would not get to the front by its words."""

Moment = tuple[datetime, datetime]

_USER = "user"
ASSISTANT = "assistant"


@dataclass(frozen=True, slots=True)
class Said:
    """What is stored of messages, each by one of its chunks, an element a message."""

    texts: Sequence[str]
    words: Floats
    """About how many words each whole message has: as many as its chunk has blanks, and one, for each of its chunks."""
    conversations: Sequence[str | None]
    roles: Sequence[str]
    speakers: Sequence[str | None]
    kinds: Sequence[str]
    moments: Sequence[Moment]
    """When it was said, and when it was recorded."""

    @classmethod
    def of(cls, messages: Sequence[StoredMessage], chunks: Floats) -> Self:
        """Return the columns of messages; `chunks` is how many each has."""
        texts = [message.text for message in messages]
        return cls(
            texts=texts,
            words=np.asarray([text.count(" ") + 1 for text in texts]) * chunks,
            conversations=[message.conversation_id for message in messages],
            roles=[message.role for message in messages],
            speakers=[message.speaker for message in messages],
            kinds=[message.kind for message in messages],
            moments=[(message.occurred_at, message.recorded_at) for message in messages],
        )


@dataclass(frozen=True, slots=True)
class Told:
    """Signals that messages' wording, speakers and times give, an element a message; `Signals` has the same names."""

    brevity: Floats
    speaker: Floats
    not_own: Floats
    answers: Floats
    phrases: Floats
    coverage: Floats
    time: Floats
    early: Floats


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, as far as words and times go."""

    text: str
    wording: Wording
    times: tuple[Time, ...]

    def told_by(self, said: Said, own: Sequence[float], inherited: Inherited) -> Told:
        """Give what candidates have of what is asked for, by what is stored of them, own score and neighbours."""
        count = len(own)
        named = named_in(self.text, {speaker for speaker in said.speakers if speaker})
        told = Told(
            brevity=np.exp(said.words / -BRIEF),
            speaker=np.zeros(count),
            not_own=np.zeros(count),
            answers=np.zeros(count),
            phrases=np.zeros(count),
            coverage=np.zeros(count),
            time=np.zeros(count),
            early=np.zeros(count),
        )
        # Who asks about two people may want what either of them said.
        if len(named) == 1:
            told.speaker[:] = [speaker in named for speaker in said.speakers]
        elif self.wording.advised:
            told.speaker[:] = [role == ASSISTANT for role in said.roles]
        if self.wording.first_person:
            told.not_own[:] = [
                role != _USER and kind != DOCUMENT for role, kind in zip(said.roles, said.kinds, strict=True)
            ]
        if self.times:
            told.time[:] = [
                kind != DOCUMENT and self._is_of_the_time(said_at.date())
                for kind, (said_at, _) in zip(said.kinds, said.moments, strict=True)
            ]
        best = sorted(range(count), key=own.__getitem__, reverse=True)[:READ]
        self._read([said.texts[place] for place in best], best, named, told, inherited)
        if not self.wording.present:
            spoken = [place for place in best if said.kinds[place] != DOCUMENT]
            spoken.sort(key=said.moments.__getitem__)
            if len(spoken) > 1:
                told.early[spoken] = _earliness(len(spoken))
        return told

    def _read(
        self, texts: Sequence[str], best: Sequence[int], named: frozenset[str], told: Told, inherited: Inherited
    ) -> None:
        names = {word for name in named for word in spaced_words(name.lower()).split()}
        starts = beginnings(word for word in self.wording.words if word not in names)
        lowered = [text.lower() for text in texts]
        words = list(map(spaced_words, lowered))
        if self.wording.time or self.wording.number:
            told.answers[best] = [answers(self.wording, text) for text in lowered]
        told.phrases[best] = spoken(self.wording.phrases, words).sum(axis=1)
        read = {place: number for number, place in enumerate(best)}
        before = [inherited.answered[place] for place in best]
        told.coverage[best] = coverages(
            starts,
            words,
            [
                (number, read[answered], share)
                for number, (answered, share) in enumerate(zip(before, inherited.openness[best].tolist(), strict=True))
                if answered in read
            ],
        )

    def _is_of_the_time(self, day: date) -> bool:
        return any(time.holds(day) for time in self.times)


@lru_cache(READ)
def _earliness(count: int) -> Floats:
    """Give 0.5 for the message that was said first, down to -0.5 for the last."""
    return np.linspace(0.5, -0.5, count)


def read_question(text: str, now: datetime) -> Asked:
    """Read a question that is asked at a time: "yesterday" is the day before."""
    return Asked(text, wording_of(text), times_in(text, now.date()))
