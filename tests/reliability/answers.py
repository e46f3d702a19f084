"""Whether what was answered meanwhile is true: of messages, batches, states and searches. Pure."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator

from reliability.expectations import Name, first_start, lives
from reliability.history import (
    Answered,
    Asking,
    BatchAnswered,
    Deleting,
    FaultInjected,
    History,
    Searched,
    Sent,
    StateRead,
)
from reliability.operations import POISON


def only_bad_lines_are_refused(history: History) -> Iterator[str]:
    """Find good messages that were refused for good, and bad ones that were taken."""
    valid = {(sent.call, sent.line): sent.valid for sent in history.of(Sent)}
    for answer in history.of(Answered):
        line = answer.call, answer.line
        if answer.outcome == "refused" and valid[line]:
            yield f"({answer.user!r}, {answer.message_id!r}): {answer.reason}"
        elif answer.outcome in {"accepted", "deleted"} and not valid[line]:
            yield f"line {answer.line} of call {answer.call} is bad, and was {answer.outcome}"


def each_line_is_answered_once(history: History) -> Iterator[str]:
    """Find calls whose lines have no answer of their own, or two; and batches that add up to something else."""
    lines = Counter((answer.call, answer.line) for answer in history.of(Answered))
    outcomes: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for answer in history.of(Answered):
        kind = "rejected" if answer.outcome == "refused" else "duplicates" if answer.duplicate else "accepted"
        outcomes[answer.call][kind] += 1
    sent = {(one.call, one.line) for one in history.of(Sent)}
    for line in sorted(sent | set(lines)):
        if line not in sent or lines[line] != 1:
            yield f"line {line[1]} of call {line[0]} was answered {lines[line]} times"
    for tally in history.of(BatchAnswered):
        seen = outcomes[tally.call]
        counts = {"accepted": tally.accepted, "duplicates": tally.duplicates, "rejected": tally.rejected}
        if any(seen[kind] != count for kind, count in counts.items()):
            yield f"call {tally.call} says {counts}; its lines say {dict(seen)}"


def duplicates_are_reported_correctly(history: History) -> Iterator[str]:
    """Find messages that were called a repeat though they came first, or deleted though nobody asked for that.

    Where Redis or the way to it is disturbed, ingest may have appended one itself and lost the answer, before it asked
    again: then it is no violation.
    """
    disturbed = min(
        (place for place, fault in history.placed(FaultInjected) if "redis" in fault.fault), default=math.inf
    )
    starts: defaultdict[Name, list[int]] = defaultdict(list)
    for place, sent in history.placed(Sent):
        starts[sent.user, sent.message_id].append(place)
    deletes: dict[Name, int] = {}
    for place, request in history.placed(Deleting):
        if request.message_id is not None:
            deletes.setdefault((request.user, request.message_id), place)
    for place, answer in history.placed(Answered):
        name = answer.user, answer.message_id
        before = sum(start < place for start in starts[name])
        if answer.outcome == "accepted" and answer.duplicate and before < 2 and place < disturbed:
            yield f"{name} is said to be a repeat, and is the first"
        if answer.outcome == "deleted" and deletes.get(name, math.inf) > place:
            yield f"{name} is said to be deleted, and nobody asked for it"


def a_message_has_one_position(history: History) -> Iterator[str]:
    """Find messages that were appended twice; once more is right for each time its user was erased."""
    positions: defaultdict[Name, set[str]] = defaultdict(set)
    firsts: Counter[Name] = Counter()
    erasures = Counter(request.user for request in history.of(Deleting) if request.message_id is None)
    for answer in history.of(Answered):
        if answer.outcome == "accepted":
            positions[answer.user, answer.message_id].add(answer.position)
            firsts[answer.user, answer.message_id] += not answer.duplicate
    for name, known in positions.items():
        if max(len(known), firsts[name]) > 1 + erasures[name[0]]:
            yield f"{name} was new {firsts[name]} times, at {sorted(known)}"


def states_are_true_throughout(history: History) -> Iterator[str]:
    """Find answers of the state endpoint, while faults were about, that can't have been true then."""
    begins = {asking.call: place for place, asking in history.placed(Asking)}
    known = lives(history)
    for end, read in history.placed(StateRead):
        begin = begins.get(read.call)
        if begin is None:
            continue
        life = known.get((read.user, read.message_id))
        forgotten = first_start(r.span for r in (*life.deletes, *life.erasures)) if life else math.inf
        taken = any(attempt.accepted and attempt.span.end < begin for attempt in life.attempts) if life else False
        untrue = {
            "unknown": taken,
            "queued": False,
            "stored": read.there is False and forgotten > end,
            "dead": not (life and any(POISON in attempt.text for attempt in life.attempts)),
            "deleted": forgotten > end,
        }
        if untrue.get(read.state, True):
            yield f"({read.user!r}, {read.message_id!r}) was said to be {read.state!r}; in Qdrant: {read.there}"


def no_user_sees_anothers_messages(history: History) -> Iterator[str]:
    """Find answers that hold what their user did not say: another's message, or one that nobody sent."""
    said: defaultdict[Name, set[str]] = defaultdict(set)
    for sent in history.of(Sent):
        said[sent.user, sent.message_id].add(sent.text)
    for search in history.of(Searched):
        for message_id, text in search.hits:
            if not any(text in whole for whole in said[search.user, message_id]):
                yield f"{search.user!r} was shown {message_id!r}: {text[:60]!r}"


VALIDATORS = (
    only_bad_lines_are_refused,
    each_line_is_answered_once,
    duplicates_are_reported_correctly,
    a_message_has_one_position,
    states_are_true_throughout,
    no_user_sees_anothers_messages,
)
