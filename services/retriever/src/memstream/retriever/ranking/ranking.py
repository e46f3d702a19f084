"""From candidates to hits: chunks become messages, signals become a relevance, the most relevant come first. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from memstream.contracts.searches import Mode
from memstream.retriever.asking.questions import ASSISTANT, Asked, Said
from memstream.retriever.ranking.neighbours import Turns, inherit
from memstream.retriever.ranking.relevance import (
    POOL,
    Calibration,
    Columns,
    Floats,
    Signals,
    fair_cosines,
    fair_scores,
    history_of,
    prior_among,
    probabilities,
    rarity_among,
)
from memstream.vectors.store import Candidates, StoredMessage


@dataclass(frozen=True, slots=True)
class Ranked:
    """A message, by its best chunk."""

    message: StoredMessage
    """Its best chunk."""
    signals: Signals
    relevance: float


def rank(  # noqa: PLR0913 - what a question asks for, by name
    candidates: Candidates,
    mode: Mode,
    calibration: Calibration,
    *,
    asked: Asked,
    limit: int,
    min_relevance: float = 0.0,
    filtered: bool = False,
) -> list[Ranked]:
    """Give the messages of at least that relevance, the most relevant first, `limit` at the most.

    In mode `dense` or `keyword` that signal alone counts; in `hybrid` whatever signals there are. Candidates that are
    `filtered` are not all that the user said, though they may be few.
    """
    dense = None if mode == "keyword" else candidates.dense
    keyword = None if mode == "dense" else candidates.keyword
    scored = {**(dense or {}), **(keyword or {})}
    found = {point: message for point, message in candidates.messages.items() if point in scored}
    if not found:
        return []
    names = [message.message_id for message in found.values()]
    # A cosine is given for every message, however far off, so a short list is a short history. Words leave out what
    # doesn't share them, and filters what they are told to: there a short list says nothing.
    among = POOL
    if dense is not None and not filtered:
        among = history_of(len(set(names)), len(names), candidates.limit)
    messages = _by_best_chunks(
        names, list(found.values()), _scores(dense, found), _scores(keyword, found), calibration, rarity_among(among)
    )
    columns = _columns(messages, asked)
    relevances = probabilities(calibration.evidence(columns) + prior_among(among))
    # Only those that may be among the first have to be sorted.
    least = np.partition(relevances, -limit)[-limit] if 0 < limit < len(relevances) else 0.0
    hits: list[int] = np.flatnonzero(relevances >= max(min_relevance, least)).tolist()
    values: list[float] = relevances.tolist()
    # Among equals the order must not depend on how the server listed them.
    hits.sort(key=lambda place: (-values[place], messages.names[place]))
    del hits[limit:]
    return [
        Ranked(messages.stored[place], signals, values[place])
        for place, signals in zip(hits, columns.of(hits), strict=True)
    ]


@dataclass(frozen=True, slots=True)
class _Messages:
    """Messages, each by its best chunk; their scores are what that chunk has."""

    names: list[str]
    stored: list[StoredMessage]
    dense: Floats | None
    keyword: Floats | None
    chunks: Floats
    rarity: float
    own: Floats
    """The scores in one."""


def _scores(signal: Mapping[str, float] | None, found: Iterable[str]) -> Floats | None:
    """Give a signal's scores of points: what shares no word with the question is left out of the answer, and has 0."""
    return None if signal is None else np.asarray([signal.get(name, 0.0) for name in found], np.float64)


def _by_best_chunks(  # noqa: PLR0913, PLR0917 - columns of the same table
    names: list[str],
    stored: list[StoredMessage],
    dense: Floats | None,
    keyword: Floats | None,
    calibration: Calibration,
    rarity: float,
) -> _Messages:
    """Give the messages that chunks are of, by the chunks' names, contents and scores."""
    chunks = np.asarray([message.chunks for message in stored], np.float64)
    line = calibration.line(dense=dense is not None, keyword=keyword is not None)
    own = line.own(fair_cosines(dense, chunks), fair_scores(keyword, chunks, rarity))
    places = _best_places(names, own.tolist())
    if len(places) == len(names):
        return _Messages(names, stored, dense, keyword, chunks, rarity, own)
    return _Messages(
        [names[place] for place in places],
        [stored[place] for place in places],
        None if dense is None else dense[places],
        None if keyword is None else keyword[places],
        chunks[places],
        rarity,
        own[places],
    )


def _best_places(names: Sequence[str], scores: Sequence[float]) -> list[int]:
    """Give the place of each name's best score, the first of equals."""
    best: dict[str, int] = {}
    for place, name in enumerate(names):
        if scores[place] > scores[best.setdefault(name, place)]:
            best[name] = place
    return list(best.values())


def _columns(messages: _Messages, asked: Asked) -> Columns:
    """Give all signals of messages."""
    said = Said.of(messages.stored, messages.chunks)
    own: list[float] = messages.own.tolist()
    inherited = inherit(
        Turns(said.conversations, said.moments, said.words, own, [role == ASSISTANT for role in said.roles])
    )
    told = asked.told_by(said, own, inherited)
    return Columns(
        dense=messages.dense,
        keyword=messages.keyword,
        chunks=messages.chunks,
        rarity=messages.rarity,
        neighbours=inherited.neighbours,
        conversation=inherited.conversation,
        brevity=told.brevity,
        speaker=told.speaker,
        not_own=told.not_own,
        answers=told.answers,
        phrases=told.phrases,
        coverage=told.coverage,
        time=told.time,
        early=told.early,
    )
