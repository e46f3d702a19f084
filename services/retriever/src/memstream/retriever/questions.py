"""What a question says of its answer, and what each candidate has of that. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, TypedDict

from memstream.retriever.periods import Time, times_in
from memstream.retriever.relevance import BRIEF
from memstream.retriever.speakers import named_in
from memstream.retriever.wording import (
    Wording,
    answers,
    beginnings,
    coverage,
    shared_phrases,
    spaced_words,
    wording_of,
)

READ = 64
"""So many candidates are read, those of the best scores: who is far behind would not get to the front by its words."""

_DOCUMENT = "document"
_USER = "user"


class Told(TypedDict):
    """Signals that a message's wording, speaker and time give: those of the same names of `Signals`."""

    brevity: float
    speaker: float
    not_own: float
    answers: float
    phrases: float
    coverage: float
    time: float


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, as far as words and times go."""

    text: str
    wording: Wording
    times: tuple[Time, ...]

    def told_by(self, payloads: Sequence[Mapping[str, Any]], words: Sequence[int], own: Sequence[float]) -> list[Told]:
        """Give what each candidate has of what is asked for, by payload, number of words, and own score."""
        named = named_in(self.text, {str(payload["speaker"]) for payload in payloads if payload.get("speaker")})
        names = {word for name in named for word in spaced_words(name.lower()).split()}
        starts = beginnings(word for word in self.wording.words if word not in names)
        best = sorted(range(len(payloads)), key=lambda place: -own[place])[:READ]
        told = [self._told(payload, count, named) for payload, count in zip(payloads, words, strict=True)]
        for place in best:
            self._read(payloads[place], starts, told[place])
        return told

    def _told(self, payload: Mapping[str, Any], words: int, named: frozenset[str]) -> Told:
        document = payload.get("kind") == _DOCUMENT
        return Told(
            brevity=math.exp(-words / BRIEF),
            # Who asks about two people may want what either of them said.
            speaker=float(len(named) == 1 and payload.get("speaker") in named),
            not_own=float(self.wording.first_person and payload.get("role") != _USER and not document),
            answers=0.0,
            phrases=0.0,
            coverage=0.0,
            time=float(bool(self.times) and not document and self._is_of_the_time(payload)),
        )

    def _read(self, payload: Mapping[str, Any], starts: Sequence[str], told: Told) -> None:
        lowered = str(payload.get("text", "")).lower()
        spaced = spaced_words(lowered)
        told["answers"] = float(answers(self.wording, lowered))
        told["phrases"] = float(shared_phrases(self.wording, spaced))
        told["coverage"] = coverage(starts, spaced)

    def _is_of_the_time(self, payload: Mapping[str, Any]) -> bool:
        try:
            day = date.fromisoformat(str(payload.get("occurred_at"))[:10])
        except ValueError:
            return False
        return any(time.holds(day) for time in self.times)


def read_question(text: str, now: datetime) -> Asked:
    """Read a question that is asked at a time: "yesterday" is the day before."""
    return Asked(text, wording_of(text), times_in(text, now.date()))


def words_of(payload: Mapping[str, Any]) -> int:
    """Give about how many words a message has, by one of its chunks."""
    return len(str(payload.get("text", "")).split()) * int(payload.get("chunks", 1))
