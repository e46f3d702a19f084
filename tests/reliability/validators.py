"""Whether a history keeps the promise. Pure: an old history can be judged again.

Run as `python -m reliability.validators FILE` in the folder `tests`, it judges the history of an earlier run.
"""

import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from reliability.history import Answered, Buried, Found, History, Searched, Sent, Told

Name = tuple[str, str]
"""User and message id."""


def violations(history: History) -> list[str]:
    """List everything in which a history breaks the promise; empty when it keeps it."""
    return [
        f"{validator.__name__}: {violation}"
        for validator in (
            nothing_accepted_is_lost,
            nothing_is_there_twice,
            nothing_is_there_that_was_not_sent,
            nothing_is_a_dead_letter,
            nothing_valid_is_refused,
            states_are_true,
            a_message_has_one_position,
            nobody_sees_what_others_said,
        )
        for violation in validator(history)
    ]


def _accepted(history: History) -> set[Name]:
    return {(a.user, a.message_id) for a in history.of(Answered) if a.outcome == "accepted"}


def _found(history: History) -> dict[Name, list[Found]]:
    found: defaultdict[Name, list[Found]] = defaultdict(list)
    for point in history.of(Found):
        found[point.user, point.message_id].append(point)
    return found


def nothing_accepted_is_lost(history: History) -> Iterator[str]:
    """Find messages that were accepted and are not in Qdrant, or not with all of their chunks."""
    found = _found(history)
    for name in sorted(_accepted(history)):
        points = found.get(name, [])
        missing = set(range(max((point.chunks for point in points), default=1))) - {point.chunk for point in points}
        if missing:
            yield f"{name} was accepted; missing chunks: {sorted(missing)}"


def nothing_is_there_twice(history: History) -> Iterator[str]:
    """Find messages with two points for one chunk, or with points of different splits."""
    for name, points in _found(history).items():
        counts = Counter(point.chunk for point in points)
        if max(counts.values()) > 1 or len({point.chunks for point in points}) > 1:
            yield f"{name} has the chunks {sorted(counts.elements())}"


def nothing_is_there_that_was_not_sent(history: History) -> Iterator[str]:
    """Find points of messages nobody sent, or whose text is another."""
    sent: defaultdict[Name, set[str]] = defaultdict(set)
    for message in history.of(Sent):
        sent[message.user, message.message_id].add(message.text)
    for point in history.of(Found):
        texts = sent.get((point.user, point.message_id), set())
        if point.text not in texts if point.chunk == 0 else not any(point.text in text for text in texts):
            yield f"({point.user!r}, {point.message_id!r}), chunk {point.chunk}, holds a text that was not sent"


def nothing_is_a_dead_letter(history: History) -> Iterator[str]:
    """Find dead letters: everything that is sent can be stored."""
    for letter in history.of(Buried):
        yield f"{letter.message}: {letter.reason}"


def nothing_valid_is_refused(history: History) -> Iterator[str]:
    """Find messages that were refused for good."""
    for answer in history.of(Answered):
        if answer.outcome == "refused":
            yield f"({answer.user!r}, {answer.message_id!r}): {answer.reason}"


def states_are_true(history: History) -> Iterator[str]:
    """Find messages whose state is not what is the case; an accepted one has to be `stored`."""
    found, told = _found(history), {(t.user, t.message_id): t.state for t in history.of(Told)}
    accepted = _accepted(history)
    for name in sorted(accepted | set(told)):
        state = told.get(name, "nothing")
        if name in accepted and state != "stored":
            yield f"{name} was accepted; its state is {state!r}"
        elif state == "stored" and name not in found:
            yield f"{name} is said to be stored, and is not there"
        elif state not in {"stored", "unknown"}:
            yield f"{name} is {state!r} though nothing waits"


def a_message_has_one_position(history: History) -> Iterator[str]:
    """Find messages that were appended twice: they have two positions, or were new two times."""
    positions: defaultdict[Name, set[str]] = defaultdict(set)
    firsts: Counter[Name] = Counter()
    for answer in history.of(Answered):
        if answer.outcome == "accepted":
            positions[answer.user, answer.message_id].add(answer.position)
            firsts[answer.user, answer.message_id] += not answer.duplicate
    for name, known in positions.items():
        if len(known) > 1 or firsts[name] > 1:
            yield f"{name} was new {firsts[name]} times, at {sorted(known)}"


def nobody_sees_what_others_said(history: History) -> Iterator[str]:
    """Find answers that hold a message of another user's, or one that nobody sent."""
    sent = {(message.user, message.message_id) for message in history.of(Sent)}
    for search in history.of(Searched):
        for hit in search.hits:
            if (search.user, hit) not in sent:
                yield f"{search.user!r} was shown {hit!r}"


if __name__ == "__main__":
    sys.exit("\n".join(violations(History.read(Path(sys.argv[1])))) or 0)
