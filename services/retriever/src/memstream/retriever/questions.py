"""What a question says of its answer, and what each candidate has of that. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import numpy as np

from memstream.retriever.coverage import coverages
from memstream.retriever.neighbours import Inherited
from memstream.retriever.periods import Time, times_in
from memstream.retriever.relevance import BRIEF, Floats
from memstream.retriever.speakers import named_in
from memstream.retriever.wording import (
    Wording,
    answers,
    beginnings,
    shared_phrases,
    spaced_words,
    wording_of,
)

READ = 64
"""So many candidates are read, those of the best scores: who is far behind would not get to the front by its words."""

_DOCUMENT = "document"
_USER = "user"
_ASSISTANT = "assistant"


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

    def told_by(
        self,
        payloads: Sequence[Mapping[str, Any]],
        words: Sequence[int],
        own: Sequence[float],
        inherited: Sequence[Inherited],
    ) -> Told:
        """Give what candidates have of what is asked for, by payload, number of words, own score and neighbours."""
        count = len(payloads)
        named = named_in(self.text, {str(payload["speaker"]) for payload in payloads if payload.get("speaker")})
        told = Told(
            brevity=np.exp(np.asarray(words, np.float64) / -BRIEF),
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
            told.speaker[:] = [payload.get("speaker") in named for payload in payloads]
        elif self.wording.advised:
            told.speaker[:] = [payload.get("role") == _ASSISTANT for payload in payloads]
        if self.wording.first_person:
            told.not_own[:] = [
                payload.get("role") != _USER and payload.get("kind") != _DOCUMENT for payload in payloads
            ]
        if self.times:
            told.time[:] = [payload.get("kind") != _DOCUMENT and self._is_of_the_time(payload) for payload in payloads]
        best = sorted(range(count), key=lambda place: -own[place])[:READ]
        self._read(payloads, best, named, told, inherited)
        if not self.wording.present:
            told.early[best] = _earliness([payloads[place] for place in best])
        return told

    def _read(
        self,
        payloads: Sequence[Mapping[str, Any]],
        best: Sequence[int],
        named: frozenset[str],
        told: Told,
        inherited: Sequence[Inherited],
    ) -> None:
        names = {word for name in named for word in spaced_words(name.lower()).split()}
        starts = beginnings(word for word in self.wording.words if word not in names)
        texts = []
        for place in best:
            lowered = str(payloads[place].get("text", "")).lower()
            spaced = spaced_words(lowered)
            texts.append(spaced)
            told.answers[place] = answers(self.wording, lowered)
            told.phrases[place] = shared_phrases(self.wording, spaced)
        read = {place: number for number, place in enumerate(best)}
        told.coverage[best] = coverages(
            starts,
            texts,
            [
                (number, read[before], inherited[place].openness)
                for place, number in read.items()
                if (before := inherited[place].answered) in read
            ],
        )

    def _is_of_the_time(self, payload: Mapping[str, Any]) -> bool:
        try:
            day = date.fromisoformat(str(payload.get("occurred_at"))[:10])
        except ValueError:
            return False
        return any(time.holds(day) for time in self.times)


def _earliness(payloads: Sequence[Mapping[str, Any]]) -> Floats:
    """Give 0.5 for the message that was said first, down to -0.5 for the last; 0 for documents, which weren't said."""
    # Both times are UTC in ISO 8601, which sorts as it stands.
    said = sorted(
        (str(payload.get("occurred_at")), str(payload.get("recorded_at")), place)
        for place, payload in enumerate(payloads)
        if payload.get("kind") != _DOCUMENT
    )
    early = np.zeros(len(payloads))
    if len(said) > 1:
        early[[place for _, _, place in said]] = np.linspace(0.5, -0.5, len(said))
    return early


def read_question(text: str, now: datetime) -> Asked:
    """Read a question that is asked at a time: "yesterday" is the day before."""
    return Asked(text, wording_of(text), times_in(text, now.date()))


def words_of(payload: Mapping[str, Any]) -> int:
    """Give about how many words a message has, by one of its chunks: as many as its blanks, and one."""
    words = str(payload.get("text", "")).count(" ") + 1
    chunks = payload.get("chunks", 1)
    return words if chunks == 1 else words * int(chunks)
