"""A newer statement goes before the one it updates if a question asks how things are, after it if how they were. Pure.

"The deadline has moved to the 25th" is less similar to "What is my deadline?" than "My deadline is the 20th", and yet
it is the answer. So among the first hits, one that states a change goes before an older one of the same speaker that
has words in common with it. docs/decisions/0019 says what that is worth.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from memstream.contracts.messages import DOCUMENT
from memstream.retriever.asking import content_words, states_change
from memstream.retriever.ranking.columns import ASSISTANT
from memstream.retriever.ranking.features import UPDATED, UPDATES, Signal
from memstream.retriever.ranking.ranker import RankedMessage

COMPARED = 3
"""How many of the first hits are compared: a hit far behind does not help somebody who asks one thing."""

_MIN_COVERAGE = 0.5
"""An update need not repeat what is known: it covers at least this share of what the older one covers."""

_MIN_IN_COMMON = 0.2
"""Share of the shorter one's words that both have at least."""


def newest_first(ranked: Sequence[RankedMessage]) -> tuple[list[RankedMessage], list[float]]:
    """Return messages that are sorted by relevance with updates before what they update, and the score of each.

    An update gets the score of what it updates, if that is higher. The note `updates` says which ones have moved.
    """
    return _moved(ranked, _updates, UPDATES)


def oldest_first(ranked: Sequence[RankedMessage]) -> tuple[list[RankedMessage], list[float]]:
    """Return messages that are sorted by relevance with what is updated before its updates, as `newest_first` does.

    The note `updated` says which ones have moved.
    """
    return _moved(ranked, lambda behind, ahead: _updates(ahead, behind), UPDATED)


def _moved(
    ranked: Sequence[RankedMessage], goes_before: Callable[[RankedMessage, RankedMessage], bool], note: Signal
) -> tuple[list[RankedMessage], list[float]]:
    order = list(ranked)
    scores = [one.relevance for one in ranked]
    for index in range(1, min(COMPARED, len(order))):
        moved = order[index]
        for before in range(index):
            if goes_before(moved, order[before]):
                order.insert(before, replace(order.pop(index), notes={**moved.notes, note.name: 1.0}))
                scores.insert(before, max(scores[before], scores.pop(index)))
                break
    return order, scores


def _updates(newer: RankedMessage, older: RankedMessage) -> bool:
    this, that = newer.message, older.message
    return (
        this.owner == that.owner
        and this.speaker == that.speaker
        and this.role == that.role != ASSISTANT
        and this.kind == that.kind != DOCUMENT
        and this.occurred_at > that.occurred_at
        and 0.0 < newer.signals.get("coverage", 0.0) >= _MIN_COVERAGE * older.signals.get("coverage", 0.0)
        and states_change(this.text)
        and _have_words_in_common(this.text, that.text)
    )


def _have_words_in_common(one: str, other: str) -> bool:
    words, others = content_words(one), content_words(other)
    return len(words & others) >= max(1.0, _MIN_IN_COMMON * min(len(words), len(others)))
