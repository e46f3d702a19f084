"""What became of every request, and what that says of an outage. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from statistics import median
from typing import Literal

Kind = Literal["message", "search"]

BROKEN = 0
"""The status of a request that got no answer: a connection that broke, or that could not be made, or a timeout."""


@dataclass(frozen=True, slots=True)
class Try:
    """A request; times are in seconds."""

    kind: Kind
    begun: float
    ended: float
    status: int
    retry_after: bool = False
    first: float = 0.0
    """When the first request for the same was begun."""
    reason: str = ""

    @property
    def is_answered(self) -> bool:
        """It is done."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    @property
    def is_expected(self) -> bool:
        """It is done, or the client was told to try again later."""
        return self.is_answered or (self.status == HTTPStatus.SERVICE_UNAVAILABLE and self.retry_after)


@dataclass(frozen=True, slots=True)
class Outage:
    """How long a kind of request was not answered after a moment, in seconds."""

    until_answered: float
    """From then until the first answer to a request that was begun after the first failure. 0: none failed."""
    until_all_answered: float
    """From then until the last request failed."""
    longest_wait: float
    """The longest that a caller tried until there was an answer."""
    failed: int
    """Requests that failed."""


def outage(tries: Sequence[Try], kind: Kind, struck: float) -> Outage:
    """Sum up what came after a moment."""
    later = sorted((one for one in tries if one.kind == kind and one.ended >= struck), key=lambda one: one.ended)
    failed = [one for one in later if not one.is_answered]
    answered = [one for one in later if one.is_answered]
    longest = max((one.ended - one.first for one in answered), default=0.0)
    if not failed:
        return Outage(0.0, 0.0, longest, 0)
    again = next((one.ended for one in answered if one.begun >= failed[0].ended), float("inf"))
    return Outage(again - struck, failed[-1].ended - struck, longest, len(failed))


def failures(tries: Sequence[Try]) -> dict[str, int]:
    """Count what was not done, by what it was and why."""
    failed = (one for one in tries if not one.is_answered)
    return dict(Counter(f"{one.kind}: {one.status or 'no answer'}: {one.reason}" for one in failed))


def by_second(tries: Sequence[Try], kind: Kind, struck: float) -> list[tuple[int, int, int]]:
    """Return how many requests of a kind were done, and how many failed, in each second after a moment."""
    later = [one for one in tries if one.kind == kind and one.ended >= struck]
    counts = Counter((int(one.ended - struck), one.is_answered) for one in later)
    return [(second, counts[second, True], counts[second, False]) for second in sorted({at for at, _ in counts})]


def unexpected(tries: Sequence[Try]) -> Counter[str]:
    """Count what is neither done nor a 503 with Retry-After, by what it was."""
    return Counter(f"{one.kind}: {one.status or one.reason}" for one in tries if not one.is_expected)


def milliseconds(tries: Sequence[Try], kind: Kind) -> float:
    """Return the median time of an answered request."""
    return 1000 * median(one.ended - one.begun for one in tries if one.kind == kind and one.is_answered)
