"""A newer statement goes before the one it updates, where a question asks how things are. Pure.

"The deadline has moved to the 25th" is less like "What is my deadline?" than "My deadline is the 20th" was, and it is
the answer. So among the first hits, one that tells of a change goes before an older one of the same speaker that
it has words in common with. docs/decisions/0019 says what that is worth.
"""

from collections.abc import Sequence
from dataclasses import replace

from memstream.contracts.messages import DOCUMENT
from memstream.retriever.asking.questions import ASSISTANT
from memstream.retriever.asking.wording import content_words, tells_change
from memstream.retriever.candidates.hits import Found

AMONG = 3
"""So many of the first hits are looked at: who asks one thing is not helped by what is far behind."""

_COVERED = 0.5
"""Share of what the older one says of the question that an update says too: it need not repeat what is known."""

_IN_COMMON = 0.2
"""Share of the shorter one's words that both have at the least."""


def newest_first(findings: Sequence[Found]) -> tuple[list[Found], list[float]]:
    """Give findings that are sorted by relevance, those that update another one before it, and what each counts as.

    An update counts as much as what it updates, if that is more. What has moved tells so by its note `updates`.
    """
    order = list(findings)
    scores = [finding.ranked.relevance for finding in findings]
    for place in range(1, min(AMONG, len(order))):
        newer = order[place]
        for before in range(place):
            if _updates(newer, order[before]):
                order.insert(before, replace(order.pop(place), notes={**newer.notes, "updates": 1.0}))
                scores.insert(before, max(scores[before], scores.pop(place)))
                break
    return order, scores


def _updates(newer: Found, older: Found) -> bool:
    this, that = newer.message, older.message
    return (
        newer.owner == older.owner
        and this.speaker == that.speaker
        and this.role == that.role != ASSISTANT
        and this.kind == that.kind != DOCUMENT
        and this.occurred_at > that.occurred_at
        and 0.0 < newer.ranked.signals.coverage >= _COVERED * older.ranked.signals.coverage
        and tells_change(this.text)
        and _have_in_common(this.text, that.text)
    )


def _have_in_common(one: str, other: str) -> bool:
    words, others = content_words(one), content_words(other)
    return len(words & others) >= max(1.0, _IN_COMMON * min(len(words), len(others)))
