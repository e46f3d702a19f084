"""The formulas of the ranking's features over columns of candidates: a value for each candidate. Pure."""

from functools import lru_cache

import numpy as np

from memstream.retriever.asking import has_requested_detail, spaced_words, stems
from memstream.retriever.ranking.columns import MAX_ANALYSED, USER, Columns
from memstream.retriever.ranking.coverage import incidence, term_coverage
from memstream.retriever.ranking.scores import Floats

BRIEF = 10.0
"""Words of a message whose `brevity` is 1/e."""


def brevity(columns: Columns) -> Floats:
    """Return 1 for a message without words, falling to 0 the longer it is."""
    return np.exp(columns.words / -BRIEF)


def speaker(columns: Columns) -> Floats:
    """Return 1 for messages of the speaker whom the question mentions, or of the assistant if it asks for that."""
    # A question that mentions two people may ask for what either of them said.
    if len(columns.mentioned_speakers) == 1:
        return np.array([message.speaker in columns.mentioned_speakers for message in columns.messages], np.float64)
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
    found = columns.zeros()
    if wording.asks_time or wording.asks_number:
        found[columns.analysed] = [has_requested_detail(wording, text) for text in columns.lower_texts]
    return found


def phrases(columns: Columns) -> Floats:
    """Return how many of the question's pairs of adjacent words each message contains."""
    found = columns.zeros()
    found[columns.analysed] = incidence(columns.question.wording.phrases, columns.spaced_texts).sum(axis=1)
    return found


def coverage(columns: Columns) -> Floats:
    """Return the weighted share of the question's terms that each message contains; see `term_coverage`."""
    names = {word for name in columns.mentioned_speakers for word in spaced_words(name.lower()).split()}
    terms = stems(term for term in columns.question.wording.terms if term not in names)
    rows = {index: row for row, index in enumerate(columns.analysed)}
    context = columns.context
    shares: list[float] = context.reply_shares[columns.analysed].tolist()
    replies = [
        (row, rows[context.replied_to[index]], shares[row])
        for row, index in enumerate(columns.analysed)
        if context.replied_to[index] in rows
    ]
    found = columns.zeros()
    found[columns.analysed] = term_coverage(terms, columns.spaced_texts, replies)
    return found


def time(columns: Columns) -> Floats:
    """Return 1 for messages of a time that the question names."""
    if not columns.question.times:
        return columns.zeros()
    pairs = zip(columns.messages, columns.is_document, strict=True)
    return np.array(
        [
            not is_document and columns.question.is_about_day(message.occurred_at.date())
            for message, is_document in pairs
        ],
        np.float64,
    )


def early(columns: Columns) -> Floats:
    """Return 0.5 for the first of the best candidates in time order, falling to -0.5 for the last."""
    found = columns.zeros()
    if not columns.question.wording.is_present:
        turns = [index for index in columns.analysed if not columns.is_document[index]]
        turns.sort(key=lambda index: (columns.messages[index].occurred_at, columns.messages[index].recorded_at))
        if len(turns) > 1:
            found[turns] = _falling(len(turns))
    return found


@lru_cache(MAX_ANALYSED)
def _falling(count: int) -> Floats:
    return np.linspace(0.5, -0.5, count)
