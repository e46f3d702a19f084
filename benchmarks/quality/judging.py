"""How good replayed rankings are, and fits to them. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.quality.calibration import CalibrationFigures, calibration_figures
from benchmarks.quality.metrics import MEASURES, Judgement, auroc
from benchmarks.quality.replaying import Recorded, replay
from benchmarks.quality.sets import ACROSS, collection_of
from memstream.contracts.messages import DOCUMENT
from memstream.contracts.searches import Mode
from memstream.retriever.ranking import (
    FEATURES,
    Calibration,
    CosineScale,
    Feature,
    JudgedCandidates,
    RankingModel,
    Score,
    fit,
    matrix_of_signals,
    unfitted,
)

Recordings = Mapping[str, Sequence[Recorded]]

MODES: tuple[Mode, ...] = ("hybrid", "dense", "keyword")
MODE_SCORES: Mapping[Mode, tuple[Score, ...]] = {
    "hybrid": ("dense", "keyword"),
    "dense": ("dense",),
    "keyword": ("keyword",),
}
_KEPT = 0.95
_FIXED_COSINE = 0.2
_WEIGHT_OF_DOCUMENTS = 0.5


@dataclass(frozen=True, slots=True)
class Replayed:
    """A recorded question with the signals of its candidates, which no coefficient bears on."""

    recorded: Recorded
    signals: Sequence[Mapping[str, float]]
    labels: npt.NDArray[np.bool_]
    """Whether each candidate is evidence; for another user none is."""
    is_of_documents: bool


@dataclass(frozen=True, slots=True)
class Ranked:
    """A replayed question's candidates in the order of their relevance."""

    replayed: Replayed
    relevances: npt.NDArray[np.float64]
    labels: npt.NDArray[np.bool_]

    @property
    def recorded(self) -> Recorded:
        """The question."""
        return self.replayed.recorded


def replay_all(recordings: Recordings, mode: Mode, scale: CosineScale) -> dict[str, list[Replayed]]:
    """Return every recorded question of every set with its candidates' signals."""
    calibration = unfitted(scale)
    return {name: [_replayed(one, calibration, mode) for one in recorded] for name, recorded in recordings.items()}


def _replayed(recorded: Recorded, calibration: Calibration, mode: Mode) -> Replayed:
    found = replay(recorded, calibration, mode)
    evidence = recorded.question.evidence
    return Replayed(
        recorded,
        [one.signals for one in found],
        np.array([recorded.own and one.message.message_id in evidence for one in found], bool),
        any(one.message.kind == DOCUMENT for one in found[:1]),
    )


def rank_by(replayed: Sequence[Replayed], model: RankingModel, scale: CosineScale) -> list[Ranked]:
    """Return questions with their candidates in the order of the relevance that a model gives them."""
    ranked = []
    for one in replayed:
        relevances = np.zeros(0)
        if one.signals:
            relevances = model.relevances(matrix_of_signals(model.features, one.signals, scale))
        order = np.argsort(-relevances, kind="stable")
        ranked.append(Ranked(one, relevances[order], one.labels[order]))
    return ranked


def fit_model(
    sets: Mapping[str, Sequence[Replayed]],
    mode: Mode,
    scale: CosineScale,
    without: Sequence[str] = (),
    features: Sequence[Feature] = FEATURES,
) -> RankingModel:
    """Return a model fitted to several sets, to the questions that are asked in a set's own language.

    All collections have the same weight, but those of documents half of it. The sets of a collection share it.
    """
    collections = [collection_of(name) for name in sets]
    questions: list[JudgedCandidates] = []
    for name, replayed in sets.items():
        asked = [one for one in replayed if not is_across(one.recorded)]
        weight = 1.0 / collections.count(collection_of(name))
        if any(one.is_of_documents for one in asked):
            weight *= _WEIGHT_OF_DOCUMENTS
        for is_answerable in (True, False):
            part = [one for one in asked if is_answerable_by(one.recorded) is is_answerable]
            questions += [
                JudgedCandidates(one.signals, one.labels.tolist(), weight / len(part), is_answerable) for one in part
            ]
    return fit(questions, MODE_SCORES[mode], scale=scale, without=without, features=features)


def is_answerable_by(recorded: Recorded) -> bool:
    """Return whether the history of the user as whom a question is asked has an answer."""
    return recorded.own and bool(recorded.question.evidence)


def is_across(recorded: Recorded) -> bool:
    """Return whether a question is asked in another language than the memory's."""
    return recorded.question.category.startswith(ACROSS)


def judgements(ranked: Sequence[Ranked]) -> Iterator[Judgement]:
    """Yield how good the order is, of questions that have an answer and were asked as their user."""
    for one in ranked:
        question = one.recorded.question
        if is_answerable_by(one.recorded):
            yield Judgement(question.category, one.labels.tolist(), len(question.evidence))


def mean(name: str, judged: Sequence[Judgement]) -> float:
    """Return the mean of a measure."""
    return float(np.mean([MEASURES[name](one) for one in judged])) if judged else float("nan")


def calibration_of_ranked(ranked: Sequence[Ranked]) -> CalibrationFigures:
    """Return how far relevances are from shares of evidence, over all candidates of questions that have an answer."""
    answerable = [one for one in ranked if is_answerable_by(one.recorded)]
    return calibration_figures([(one.relevances.tolist(), one.labels.tolist()) for one in answerable])


@dataclass(frozen=True, slots=True)
class AbstainingContexts:
    """Shares of contexts that abstain, 0 to 1: the best hit is less relevant than a context asks of a message."""

    answered: float
    """Of questions that have an answer."""
    others: float | None
    """Of the same questions asked as other users; None if there are none."""
    swapped: float | None
    """Of those with the names of the others' speakers put in."""


def abstaining_contexts(ranked: Sequence[Ranked], least: float) -> AbstainingContexts | None:
    """Return the shares of contexts that abstain if a message needs this relevance; None if nothing has an answer."""

    def abstaining(part: Sequence[Ranked]) -> float | None:
        return float(np.mean([_best_relevance(one) < least for one in part])) if part else None

    answered = abstaining([one for one in ranked if is_answerable_by(one.recorded)])
    others = [one for one in ranked if not one.recorded.own]
    return (
        None
        if answered is None
        else AbstainingContexts(
            answered,
            others=abstaining([one for one in others if not one.recorded.swapped]),
            swapped=abstaining([one for one in others if one.recorded.swapped]),
        )
    )


def _best_relevance(one: Ranked) -> float:
    return float(one.relevances.max(initial=0.0))


@dataclass(frozen=True, slots=True)
class Abstention:
    """How well the best hit distinguishes questions that have an answer from those that have none; shares, 0 to 1."""

    auroc: float
    false_accepts: float
    """At the relevance that 95% of the answerable questions reach."""
    unanswerable_auroc: float | None
    """Against the set's own questions without an answer."""
    cosine_auroc: float
    cosine_true_accepts: float
    cosine_false_accepts: float
    """By the rule that a cosine over 0.2 is relevant."""
    swapped_auroc: float | None = None
    """Against the same questions asked as others, with the names of the others' speakers put in."""
    swapped_false_accepts: float | None = None


def abstention(ranked: Sequence[Ranked]) -> Abstention | None:
    """Return what the best hits of recorded questions say; None if there is no other user to ask them as."""

    def best(one: Ranked) -> tuple[float, float]:
        cosine = max((signals.get("dense", -1.0) for signals in one.replayed.signals), default=-1.0)
        return _best_relevance(one), cosine

    own = [one for one in ranked if one.recorded.own]
    return abstention_of(
        [best(one) for one in own if one.recorded.question.evidence],
        [best(one) for one in ranked if not one.recorded.own and not one.recorded.swapped],
        [best(one) for one in own if not one.recorded.question.evidence],
        [best(one) for one in ranked if one.recorded.swapped],
    )


Best = tuple[float, float]
"""The best relevance of an answer, and the best cosine."""


def abstention_of(
    own: Sequence[Best], others: Sequence[Best], unanswerable: Sequence[Best], swapped: Sequence[Best] = ()
) -> Abstention | None:
    """Return what the best hits say: with an answer, the same questions asked as others, and without an answer."""
    if not own or not others:
        return None
    answered, answered_cosine = np.array(own).T
    other, other_cosine = np.array(others).T
    accepted = np.quantile(answered, 1 - _KEPT)
    named = np.array([relevance for relevance, _ in swapped])
    return Abstention(
        auroc=auroc(answered, other),
        false_accepts=float((other >= accepted).mean()),
        unanswerable_auroc=auroc(answered, np.array(unanswerable)[:, 0]) if unanswerable else None,
        cosine_auroc=auroc(answered_cosine, other_cosine),
        cosine_true_accepts=float((answered_cosine > _FIXED_COSINE).mean()),
        cosine_false_accepts=float((other_cosine > _FIXED_COSINE).mean()),
        swapped_auroc=auroc(answered, named) if swapped else None,
        swapped_false_accepts=float((named >= accepted).mean()) if swapped else None,
    )
