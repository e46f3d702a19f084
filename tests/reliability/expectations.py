"""What is expected of each message at the end, as far as a history shows. Pure.

A call takes effect at some moment between its record and that of its answer; one without an answer at any moment after
its record. Places in the history's order are the time.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from reliability.history import Answered, Deleted, Deleting, History, Sent
from reliability.operations import POISON

Name = tuple[str, str]
"""User and message id."""


class Expectation(Enum):
    """Where a message has to be when nothing waits any more."""

    THERE = "stored, in Qdrant"
    GONE = "not in Qdrant"
    DEAD = "in the dead letters"
    OPEN = "either way: calls overlapped, or were not answered"


@dataclass(frozen=True, slots=True)
class Span:
    """When a call took effect: after `start`, and before `end`."""

    start: float
    end: float

    def surely_before(self, other: "Span") -> bool:
        """Return whether it was over when the other began."""
        return self.end < other.start


@dataclass(frozen=True, slots=True)
class Attempt:
    """A message that was sent and not refused."""

    span: Span
    text: str
    accepted: bool


@dataclass(frozen=True, slots=True)
class Request:
    """A request to delete; a sure one was answered."""

    span: Span
    sure: bool


@dataclass(frozen=True, slots=True)
class Life:
    """All that was asked of one message."""

    attempts: Sequence[Attempt]
    deletes: Sequence[Request]
    erasures: Sequence[Request]
    """Of its user."""

    @property
    def possible_texts(self) -> set[str]:
        """Texts that may be there at the end."""
        return {attempt.text for attempt in self.attempts if not self._is_gone(attempt)}

    @property
    def poisonous(self) -> bool:
        """No server takes it."""
        return any(POISON in attempt.text for attempt in self.attempts)

    @property
    def was_forgotten(self) -> bool:
        """It may have been deleted, or its user erased."""
        return bool(self.deletes or self.erasures)

    @property
    def expectation(self) -> Expectation:
        """What has to have become of it."""
        if not self.possible_texts:
            return Expectation.GONE
        if not any(self._is_kept(attempt) for attempt in self.attempts):
            return Expectation.OPEN
        return Expectation.DEAD if self.poisonous else Expectation.THERE

    def is_taken_away(self, request: Request, attempt: Attempt) -> bool:
        """Return whether a request, once it is done, has surely taken away what an attempt stored."""
        if request in self.deletes:
            return not self._is_free_again(request, attempt)
        return attempt.span.surely_before(request.span)

    def _is_gone(self, attempt: Attempt) -> bool:
        """Return whether a request surely forgot it.

        A delete holds for what is sent later, too; but if the user is erased after it, the id may be used anew.
        """
        deleted = any(delete.sure and not self._is_free_again(delete, attempt) for delete in self.deletes)
        return deleted or any(e.sure and attempt.span.surely_before(e.span) for e in self.erasures)

    def _is_free_again(self, delete: Request, attempt: Attempt) -> bool:
        return any(
            not erasure.span.surely_before(delete.span) and not attempt.span.surely_before(erasure.span)
            for erasure in self.erasures
        )

    def _is_kept(self, attempt: Attempt) -> bool:
        """Return whether it was accepted, and no request can have forgotten it."""
        return (
            attempt.accepted
            and not self.deletes
            and all(erasure.span.surely_before(attempt.span) for erasure in self.erasures)
        )


def lives(history: History) -> dict[Name, Life]:
    """Gather what was asked of each message."""
    attempts = _attempts(history)
    deletes, erasures = _requests(history)
    return {
        name: Life(attempts.get(name, ()), deletes.get(name, ()), erasures.get(name[0], ()))
        for name in {*attempts, *deletes}
    }


def _attempts(history: History) -> dict[Name, list[Attempt]]:
    ends = {(a.call, a.line): (place, a.outcome) for place, a in history.placed(Answered)}
    attempts: defaultdict[Name, list[Attempt]] = defaultdict(list)
    for start, sent in history.placed(Sent):
        if not sent.valid:
            continue
        end, outcome = ends.get((sent.call, sent.line), (0, "unknown"))
        named = attempts[sent.user, sent.message_id]
        if outcome in {"accepted", "unknown"}:
            span = Span(start, end if outcome == "accepted" else math.inf)
            named.append(Attempt(span, sent.text, outcome == "accepted"))
    return attempts


def _requests(history: History) -> tuple[dict[Name, list[Request]], dict[str, list[Request]]]:
    ends = {answer.call: place for place, answer in history.placed(Deleted) if answer.erasure_id is not None}
    deletes: defaultdict[Name, list[Request]] = defaultdict(list)
    erasures: defaultdict[str, list[Request]] = defaultdict(list)
    for start, request in history.placed(Deleting):
        end = ends.get(request.call)
        one = Request(Span(start, math.inf if end is None else end), end is not None)
        if request.message_id is None:
            erasures[request.user].append(one)
        else:
            deletes[request.user, request.message_id].append(one)
    return deletes, erasures


def first_start(spans: Iterable[Span]) -> float:
    """Return the place where the first of some calls began."""
    return min((span.start for span in spans), default=math.inf)
