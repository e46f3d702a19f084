"""The ranking features, declared once each.

`FEATURES` determines

- the design matrix, which the coefficients of the order are multiplied with
- the names in a hit's `signals` and in the file of coefficients
- what is fitted, and what the benchmark's ablation leaves out
- docs/features.md

To add a feature, add an entry and fit the coefficients.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from memstream.retriever.ranking import formulas
from memstream.retriever.ranking.columns import Columns
from memstream.retriever.ranking.scores import ADJUSTMENTS, Adjustment, CosineScale, Floats, Score

SCORES: tuple[Score, ...] = ("dense", "keyword")


@dataclass(frozen=True, slots=True)
class Signal:
    """A value that an answer shows for a hit."""

    name: str
    meaning: str
    hidden_when: str
    """When an answer does not show it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature(Signal):
    """A signal that is computed from candidates. It is shown if it is not 0."""

    formula: Callable[[Columns], Floats]
    """Its value for each candidate, as shown."""
    needs: frozenset[Score] = frozenset()
    """Scores it needs."""
    adjustment: Adjustment | None = None
    """Transforms the raw value before it is weighted; None: used as is."""
    shows_zero: bool = False
    """Whether it is shown even if it is 0."""


FEATURES: tuple[Feature, ...] = (
    Feature(
        name="dense",
        meaning="Cosine of the question and the best of the message's chunks, -1 to 1.",
        hidden_when="in mode `keyword`, and in degraded answers",
        formula=lambda columns: columns.scores["dense"],
        needs=frozenset({"dense"}),
        adjustment=ADJUSTMENTS["dense"],
        shows_zero=True,
    ),
    Feature(
        name="keyword",
        meaning="BM25 score of the best of the message's chunks, 0 or more.",
        hidden_when="in mode `dense`",
        formula=lambda columns: columns.scores["keyword"],
        needs=frozenset({"keyword"}),
        adjustment=ADJUSTMENTS["keyword"],
        shows_zero=True,
    ),
    Feature(
        name="coverage",
        meaning="Share of the question's terms that it contains, rare terms weighted higher, 0 to 1. "
        "The terms of the turn it replies to count in part.",
        hidden_when="if it contains none",
        formula=formulas.coverage,
    ),
    Feature(
        name="partial_coverage",
        meaning="Share of the question's terms that it contains in part, as with another ending or spelling, 0 to 1.",
        hidden_when="if it contains no part of any",
        formula=formulas.partial_coverage,
    ),
    Feature(
        name="surroundings",
        meaning="How well turns said within minutes of it in its conversation match the question; less the more of the "
        "question's terms it contains itself. A message without a conversation, or the only candidate of one, gets a "
        "little.",
        hidden_when="if it contains all terms, or if no such turn matches",
        formula=formulas.surroundings,
    ),
    Feature(
        name="speaker",
        meaning="1 if the speaker whom the question names said it. If the question names no single speaker and asks "
        "what the assistant said: 1 if an assistant said it.",
        hidden_when="if it is 0: the question names no single speaker and does not ask what the assistant said, "
        "or somebody else said it",
        formula=formulas.speaker,
    ),
    Feature(
        name="not_own",
        meaning="1 if its role is not `user`, and the question is in the first person.",
        hidden_when="if the question is not in the first person, for the user's own messages, and for documents",
        formula=formulas.not_own,
    ),
    Feature(
        name="answers",
        meaning="1 if it states a time or a number, and the question asks for one.",
        hidden_when="if the question asks for neither, or it states neither",
        formula=formulas.answers,
    ),
    Feature(
        name="time",
        meaning="1 if it was said at a time that the question names, 0.5 if on the day before or after it.",
        hidden_when="if the question names no time, if it was said at another time, and for documents",
        formula=formulas.time,
    ),
)
"""Those that order the hits."""

DOUBTS: tuple[Feature, ...] = (
    Feature(
        name="unknown_names",
        meaning="Share of the names in the question that no candidate mentions, 0 to 1; the same for all hits.",
        hidden_when="if the question has no names, or all are known",
        formula=formulas.unknown_names,
    ),
    Feature(
        name="unknown_terms",
        meaning="How much of the question no candidate has a word for, 0 to 1.2; less for what is near to it in "
        "meaning.",
        hidden_when="if candidates contain all terms",
        formula=formulas.unknown_terms,
    ),
    Feature(
        name="other_speaker",
        meaning="1 if somebody else said it than the speaker whom the question names.",
        hidden_when="if the question names no single speaker, if that one said it, and for documents",
        formula=formulas.other_speaker,
    ),
    Feature(
        name="other_time",
        meaning="1 if the question names a time, and it was said at another.",
        hidden_when="if the question names no time, if it was said then, and for documents",
        formula=formulas.other_time,
    ),
)
"""Those that lower the relevance of all hits, if they hold for the first one. They do not change the order."""

CHUNKS = Signal("chunks", "How many chunks the message has; more chunks lower its scores.", "never")
RECENCY = Signal("recency", "1 now, halving with each half-life of age.", "without `recency`")
REDUNDANCY = Signal(
    "redundancy", "How much of it the hits before it repeat: the square of the largest cosine.", "without `diversity`"
)
UPDATES = Signal(
    "updates",
    "1 if it was moved above an older message that it updates.",
    "if it was not, or if the question is not about the present",
)
UPDATED = Signal(
    "updated",
    "1 if it was moved above a newer message that updates it.",
    "if it was not, or if the question does not ask how things were before",
)
RERANK = Signal(
    "rerank",
    "Score from the rerank server, on its model's own scale. Hits that have one are in the order of it, and the "
    "highest of their relevances went to the first of them.",
    "if it was not reranked",
)

OTHER_SIGNALS = (CHUNKS, RECENCY, REDUNDANCY, UPDATES, UPDATED, RERANK)
"""Signals that are no feature: one that adjusts the scores, and five that change the order."""


def available(scores: Collection[Score], features: Sequence[Feature] = FEATURES) -> tuple[Feature, ...]:
    """Return the features that are computable from these scores."""
    return tuple(feature for feature in features if feature.needs.issubset(scores))


def matrix_of(features: Sequence[Feature], values: Sequence[Floats], chunks: Floats, scale: CosineScale) -> Floats:
    """Return the design matrix: a row for each feature, a column for each candidate.

    `values` has an array for each feature, an element for each candidate.
    """
    matrix = np.empty((len(features), len(chunks)))
    for row, (feature, value) in enumerate(zip(features, values, strict=True)):
        matrix[row] = value if feature.adjustment is None else feature.adjustment(value, chunks, scale)
    return matrix


def matrix_of_signals(
    features: Sequence[Feature], signals: Sequence[Mapping[str, float]], scale: CosineScale
) -> Floats:
    """Return the design matrix from the signals that answers show for hits."""
    return matrix_of(
        features,
        [np.array([one.get(feature.name, 0.0) for one in signals], np.float64) for feature in features],
        np.array([one.get(CHUNKS.name, 1.0) for one in signals], np.float64),
        scale,
    )


def signals_of(
    features: Sequence[Feature], values: Sequence[Floats], chunks: Floats, indices: Sequence[int]
) -> list[dict[str, float]]:
    """Return the signals that an answer shows for the candidates at these indices."""
    shown = [
        (feature.name, feature.shows_zero, value[indices].tolist())
        for feature, value in zip(features, values, strict=True)
    ]
    # After the scores, which it adjusts.
    shown.insert(sum(feature.shows_zero for feature in features), (CHUNKS.name, True, chunks[indices].tolist()))
    return [
        {name: column[row] for name, shows_zero, column in shown if shows_zero or column[row]}
        for row in range(len(indices))
    ]
