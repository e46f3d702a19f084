"""The formulas of the ranking's features over columns of candidates: a value for each candidate. Pure."""

import re
from collections.abc import Sequence

import numpy as np

from memstream.retriever.asking import has_requested_detail
from memstream.retriever.ranking.columns import USER, Columns
from memstream.retriever.ranking.scores import Floats
from memstream.vectors.segmentation import fold

_NEAR = 1.2
"""The cosine of what says the same in other words, on the scale that all spaces share."""

_SEARCHED = 1_000_000
_SEARCHED_EACH = 8_000
"""Characters in which names are looked for: of all candidates, the best ones first, and of each."""


def surroundings(columns: Columns) -> Floats:
    """Return what the turns around each give it, less the more of the question's terms it has itself.

    So what answers the question by itself is not overruled by what was said around another message.
    """
    own = np.maximum(columns.exact_matches.coverage, columns.partial_matches.coverage)
    return _alike_for_equal_texts(columns, columns.surroundings * (1.0 - columns.spread(own)))


def speaker(columns: Columns) -> Floats:
    """Return 1 for messages of the speaker whom the question mentions, or of the assistant if it asks for that."""
    if columns.is_by_mentioned is not None:
        return columns.is_by_mentioned
    if columns.question.wording.asks_assistant:
        return np.array(columns.by_assistant, np.float64)
    return columns.zeros()


def not_own(columns: Columns) -> Floats:
    """Return 1 for what somebody else said, if the question is about the person who asks."""
    if not columns.question.wording.is_first_person:
        return columns.zeros()
    pairs = zip(columns.messages, columns.is_document, strict=True)
    return np.array([message.role != USER and not is_document for message, is_document in pairs], np.float64)


def answers(columns: Columns) -> Floats:
    """Return 1 for messages that state a time or a number, if the question asks for one."""
    wording = columns.question.wording
    if not (wording.asks_time or wording.asks_number):
        return columns.zeros()
    return columns.spread([has_requested_detail(wording, text) for text in columns.lower_texts])


def coverage(columns: Columns) -> Floats:
    """Return the weighted share of the question's terms that each message contains, or the turn it replies to."""
    rows = {index: row for row, index in enumerate(columns.analysed)}
    replied_to, shares = columns.replies.replied_to, columns.replies.shares.tolist()
    replies = [
        (row, rows[replied_to[index]], shares[index])
        for row, index in enumerate(columns.analysed)
        if replied_to[index] in rows
    ]
    return _alike_for_equal_texts(columns, columns.spread(columns.exact_matches.coverage_with_replies(replies)))


def partial_coverage(columns: Columns) -> Floats:
    """Return the weighted share of the question's terms of which each message contains parts."""
    return columns.spread(columns.partial_matches.coverage)


def time(columns: Columns) -> Floats:
    """Return 1 for messages of a time that the question names, 0.5 for those of a day next to one."""
    return columns.time_shares


def other_speaker(columns: Columns) -> Floats:
    """Return 1 for messages of somebody else than the speaker whom the question mentions."""
    if columns.is_by_mentioned is None:
        return columns.zeros()
    return (1.0 - columns.is_by_mentioned) * _is_no_document(columns)


def other_time(columns: Columns) -> Floats:
    """Return 1 for messages of another time than the question names."""
    return (1.0 - columns.time_shares) * _is_no_document(columns) if columns.question.times else columns.zeros()


def unknown_names(columns: Columns) -> Floats:
    """Return for all messages alike the share of the question's names that no candidate contains or has as speaker."""
    names = columns.question.names
    if not names:
        return columns.zeros()
    parts = (f"{message.speaker or ''} {message.text[:_SEARCHED_EACH]}" for message in columns.messages)
    said = " ".join(parts)[:_SEARCHED].lower()
    unknown = _missing_in(said, names)
    if unknown and not said.isascii():
        # Folding takes longer than the search, and names are mostly found without.
        unknown = _missing_in(fold(said), unknown)
    return np.full(len(columns.messages), len(unknown) / len(names))


def _missing_in(said: str, names: Sequence[str]) -> list[str]:
    return [name for name in names if re.search(rf"\b{re.escape(name)}", said) is None]


def unknown_terms(columns: Columns) -> Floats:
    """Return how much of the question no candidate has a word for, less for what is near to it in meaning.

    It is the square of the weighted share of the terms that no candidate contains, not even in part: in a long
    question some are said in other words. A cosine beyond `_NEAR`, on the scale that all spaces share, leaves nothing.
    """
    matches = columns.partial_matches
    best = matches.matrix.max(axis=0, initial=0.0)
    share = float((1.0 - best) @ matches.weights)
    near = columns.adjusted_scores.get("dense", columns.zeros())
    return share**2 * np.clip(_NEAR - near, 0.0, _NEAR)


def _is_no_document(columns: Columns) -> Floats:
    """Return 1 for what somebody said at a time; 0 for documents."""
    return 1.0 - np.array(columns.is_document, np.float64)


def _alike_for_equal_texts(columns: Columns, values: Floats) -> Floats:
    """Return values as they are, but the greatest one of messages with the same words for all of them.

    Who said it tells apart what two people said in the same words, not what was said around it.
    """
    for rows in columns.equal_texts:
        values[rows] = values[rows].max()
    return values
