"""Whether a history keeps the guarantees. Pure: an old history can be validated again.

Run as `python -m reliability.validators FILE` in the folder `tests`, it validates the history of an earlier run.
"""

import math
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from reliability import answers
from reliability.expectations import Expectation, Life, Name, Request, Span, lives
from reliability.history import (
    Asking,
    DeadLettered,
    Deleted,
    Deleting,
    Drained,
    Found,
    History,
    Length,
    Receipt,
    Searched,
    Sent,
    StateRead,
    Verified,
)

MOST_ENTRIES = 130
"""Of a stream that is done: the server trims whole nodes, which hold 100 entries by default; and some may be young."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """A history, and what it says of each message."""

    history: History
    lives: Mapping[Name, Life]
    found: Mapping[Name, list[Found]]

    @classmethod
    def of(cls, history: History) -> "Evidence":
        """Gather it."""
        found: defaultdict[Name, list[Found]] = defaultdict(list)
        for point in history.of(Found):
            found[point.user, point.message_id].append(point)
        return cls(history, lives(history), found)


def violations(history: History) -> list[str]:
    """List everything in which a history breaks a guarantee; empty when it keeps them."""
    evidence = Evidence.of(history)
    judged = [f"{validator.__name__}: {violation}" for validator in VALIDATORS for violation in validator(evidence)]
    return judged + [
        f"{validator.__name__}: {violation}" for validator in answers.VALIDATORS for violation in validator(history)
    ]


def nothing_accepted_is_lost(evidence: Evidence) -> Iterator[str]:
    """Find messages that have to be in Qdrant and are not, or not with all of their chunks."""
    for name, life in sorted(evidence.lives.items()):
        points = evidence.found.get(name, [])
        missing = set(range(max((point.chunks for point in points), default=1))) - {point.chunk for point in points}
        if life.expectation is Expectation.THERE and missing:
            yield f"{name} was accepted; missing chunks: {sorted(missing)}"


def nothing_is_there_twice(evidence: Evidence) -> Iterator[str]:
    """Find messages with two points for one chunk, or with points of different splits."""
    for name, points in evidence.found.items():
        counts = Counter(point.chunk for point in points)
        if max(counts.values()) > 1 or len({point.chunks for point in points}) > 1:
            yield f"{name} has the chunks {sorted(counts.elements())}"


def nothing_is_there_that_was_not_sent(evidence: Evidence) -> Iterator[str]:
    """Find points of messages nobody sent, or whose text is another or an older one."""
    for name, points in evidence.found.items():
        life = evidence.lives.get(name)
        texts = (
            life.possible_texts
            if life and life.expectation is not Expectation.GONE
            else _texts_sent(evidence.history, name)
        )
        whole = {point.text for point in points if point.chunk == 0}
        texts = whole & texts or texts
        for point in points:
            if point.text not in texts if point.chunk == 0 else not any(point.text in text for text in texts):
                yield f"{name}, chunk {point.chunk}, holds a text that was not sent, or was replaced"


def _texts_sent(history: History, name: Name) -> set[str]:
    return {sent.text for sent in history.of(Sent) if (sent.user, sent.message_id) == name and sent.valid}


def nothing_deleted_is_back(evidence: Evidence) -> Iterator[str]:
    """Find deleted messages in Qdrant; and in answers to searches, once the backlog is processed."""
    for name, life in sorted(evidence.lives.items()):
        if life.expectation is Expectation.GONE and name in evidence.found:
            yield f"{name} is in Qdrant" + (", though it was deleted" if life.was_forgotten else "")
    for search in _searched_at_the_end(evidence.history):
        for hit, _ in search.hits:
            hit_life = evidence.lives.get((search.user, hit))
            if hit_life and hit_life.expectation is Expectation.GONE:
                yield f"({search.user!r}, {hit!r}) was found by a question"


def what_is_stored_is_found(evidence: Evidence) -> Iterator[str]:
    """Find messages that a search for a word of theirs doesn't find, once the backlog is processed."""
    for search in _searched_at_the_end(evidence.history):
        if search.wanted is None or search.wanted in {hit for hit, _ in search.hits}:
            continue
        life = evidence.lives.get((search.user, search.wanted))
        if life and life.expectation is Expectation.THERE:
            yield f"({search.user!r}, {search.wanted!r}) was asked for by name, and not found"


def _searched_at_the_end(history: History) -> Iterator[Searched]:
    drained = next((place for place, _ in history.placed(Drained)), None)
    return (search for place, search in history.placed(Searched) if drained is not None and place > drained)


def only_poison_is_dead_lettered(evidence: Evidence) -> Iterator[str]:
    """Find dead letters of messages that can be stored, without class or reason, or twice; and poison without one."""
    letters: Counter[Name] = Counter()
    for letter in evidence.history.of(DeadLettered):
        name = letter.user, letter.message_id
        letters[name] += 1
        life = evidence.lives.get(name)
        if life is None or not life.poisonous or letter.dead_class != "poison" or not letter.reason:
            yield f"{name} is a dead letter: {letter.dead_class}, {letter.reason!r}"
    for name, life in sorted(evidence.lives.items()):
        if life.expectation is Expectation.DEAD and not letters[name]:
            yield f"{name} is poison, and no dead letter"
        if letters[name] > 1 + len(life.erasures):
            yield f"{name} is a dead letter {letters[name]} times"
        if life.poisonous and name in evidence.found:
            yield f"{name} is poison, and in Qdrant"


def states_are_true_at_the_end(evidence: Evidence) -> Iterator[str]:
    """Find messages whose state is not true once the backlog is processed."""
    drained = next((place for place, _ in evidence.history.placed(Drained)), None)
    if drained is None:
        return
    read = {(t.user, t.message_id): t for place, t in evidence.history.placed(StateRead) if place > drained}
    for name, life in sorted(evidence.lives.items()):
        state = read[name].state if name in read else "nothing"
        if state not in _possible_states(life, there=name in evidence.found):
            is_there = "" if name in evidence.found else "not "
            yield f"{name} is {state!r}; it is {is_there}in Qdrant: {life.expectation.value}"
        elif state == "dead" and not read[name].reason:
            yield f"{name} is dead, and nobody says why"


def _possible_states(life: Life, *, there: bool) -> set[str]:
    if life.expectation is Expectation.THERE:
        return {"stored"}
    if life.expectation is Expectation.DEAD:
        return {"dead"}
    if there:
        return {"stored"}
    forgotten = {"deleted"} if life.was_forgotten else set()
    if life.expectation is Expectation.GONE and life.was_forgotten:
        return forgotten if any(attempt.accepted for attempt in life.attempts) or life.deletes else {"unknown"}
    unseen = set() if any(attempt.accepted for attempt in life.attempts) else {"unknown"}
    return {*unseen, *forgotten, *({"dead"} if life.poisonous else ())}


def receipts_are_true(evidence: Evidence) -> Iterator[str]:
    """Find deletion requests whose receipt isn't there, is about something else, or isn't done at the end."""
    receipts = {receipt.erasure_id: receipt for receipt in evidence.history.of(Receipt)}
    scopes = {d.call: "user" if d.message_id is None else "message" for d in evidence.history.of(Deleting)}
    for answer in evidence.history.of(Deleted):
        if answer.erasure_id is None:
            continue
        receipt = receipts.get(answer.erasure_id)
        if receipt is None or receipt.state != "done" or receipt.scope != scopes[answer.call]:
            said = "nothing" if receipt is None else f"{receipt.scope} {receipt.state}"
            yield f"{answer.erasure_id} for a {scopes[answer.call]}: the receipt says {said!r}"


def a_receipt_that_says_done_leaves_nothing(evidence: Evidence) -> Iterator[str]:
    """Find receipts that said done, while faults were about, though what they name was still there, or was back."""
    answered = {answer.erasure_id: (place, answer.call) for place, answer in evidence.history.placed(Deleted)}
    requests = {request.call: (place, request) for place, request in evidence.history.placed(Deleting)}
    asked = {asking.call: place for place, asking in evidence.history.placed(Asking)}
    done: dict[str, int] = {}
    for place, read in evidence.history.placed(Verified):
        end, call = answered[read.erasure_id]
        start, request = requests[call]
        was_done = done.get(read.erasure_id, math.inf) < asked[read.call]
        if read.state not in {"pending", "done"} or (read.state == "pending" and was_done):
            yield f"the receipt {read.erasure_id} says {read.state!r}" + (", and said done before" if was_done else "")
        if read.state == "done":
            done.setdefault(read.erasure_id, place)
        deletion = Request(Span(start, end), sure=True)
        for message_id, text in read.left if read.state == "done" else ():
            life = evidence.lives.get((request.user, message_id))
            attempts = [attempt for attempt in life.attempts if text in attempt.text] if life else []
            if life is None or all(life.is_taken_away(deletion, attempt) for attempt in attempts):
                yield f"({request.user!r}, {message_id!r}) is there, and {read.erasure_id} says that it was deleted"


def streams_are_bounded(evidence: Evidence) -> Iterator[str]:
    """Find streams that hold more than what is young, though all of it is done."""
    for length in evidence.history.of(Length):
        if length.entries > MOST_ENTRIES:
            yield f"{length.stream} holds {length.entries} entries"


VALIDATORS = (
    nothing_accepted_is_lost,
    nothing_is_there_twice,
    nothing_is_there_that_was_not_sent,
    nothing_deleted_is_back,
    what_is_stored_is_found,
    only_poison_is_dead_lettered,
    states_are_true_at_the_end,
    receipts_are_true,
    a_receipt_that_says_done_leaves_nothing,
    streams_are_bounded,
)


if __name__ == "__main__":
    sys.exit("\n".join(violations(History.read(Path(sys.argv[1])))) or 0)
